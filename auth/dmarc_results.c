/* How a DMARC verdict is told. Pure functions; runs in mx. */
#include "auth/dmarc.h"

static struct str policy_text(const struct dmarc_author *author, struct arena *a)
{
	return arena_fmt(a, "%s=%s at %.*s%s", author->tag, dmarc_policy_name(author->published),
		STR_ARG(author->record->name), author->record->record.testing ? ", testing" : "");
}

struct str dmarc_reason(const struct dmarc_author *author, struct arena *a)
{
	switch (author->result) {
	case DMARC_RESULT_NONE:
		return arena_fmt(a, "no DMARC record governs %.*s", STR_ARG(author->domain));
	case DMARC_RESULT_PASS:
		return arena_fmt(a, "%.*s; aligned: %.*s", STR_ARG(policy_text(author, a)),
			STR_ARG(author->aligned_by));
	case DMARC_RESULT_FAIL:
		return arena_fmt(a, "%.*s; nothing is aligned", STR_ARG(policy_text(author, a)));
	case DMARC_RESULT_TEMPERROR: return STR("a name server did not answer");
	default:
		return arena_fmt(
			a, "the record at %.*s cannot be used", STR_ARG(author->record->name));
	}
}

size_t dmarc_results(const struct dmarc_check *c, struct arena *a, struct results_method *out)
{
	for (size_t i = 0; i < c->authors_n; i++) {
		const struct dmarc_author *author = &c->authors[i];
		bool applies =
			author->result == DMARC_RESULT_PASS || author->result == DMARC_RESULT_FAIL;
		struct results_prop *props = arena_array(a, 2, sizeof *props);
		props[0] = (struct results_prop){"header", "from", author->domain};
		props[1] = (struct results_prop){
			"policy", "dmarc", str_of(dmarc_policy_name(author->policy))};
		out[i] = (struct results_method){.name = "dmarc",
			.result = dmarc_result_name(author->result),
			.reason = dmarc_reason(author, a),
			.props = props,
			.props_n = applies ? 2 : 1};
	}
	return c->authors_n;
}
