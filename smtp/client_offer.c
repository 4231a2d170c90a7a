/* Offers of servers. Runs in relay. Nothing that a server does not offer is asked of it. */
#include "smtp/client_offer.h"

#include "lib/idn.h"
#include "store/store.h"

/* "RCPTMAX=20 MAILMAX=5" (RFC 9422 3); what is no number is as good as not told. One message per
   session is what we send: MAILMAX is always kept. */
static void read_limits(struct str params, struct client_offer *o)
{
	struct str word, name;
	uint64_t n;
	for (bool more = true; more;) {
		more = str_cut(&params, ' ', &word);
		bool valued = str_cut(&word, '=', &name) && str_u64(word, UINT32_MAX, &n) && n > 0;
		if (!valued) { continue; }
		if (str_ieq(name, STR("RCPTMAX"))) { o->rcpts_max = n; }
		if (str_ieq(name, STR("RCPTDOMAINMAX"))) { o->one_domain = true; }
	}
}

void client_offer_read(const struct client_reply *r, struct arena *a, struct client_offer *out)
{
	struct str params, auth = STR("");
	*out = (struct client_offer){
		.pipelining = client_reply_keyword(r, STR("PIPELINING"), &params),
		.eight = client_reply_keyword(r, STR("8BITMIME"), &params),
		.dsn = client_reply_keyword(r, STR("DSN"), &params),
		.utf8 = client_reply_keyword(r, STR("SMTPUTF8"), &params),
		.chunking = client_reply_keyword(r, STR("CHUNKING"), &params),
		.binary = client_reply_keyword(r, STR("BINARYMIME"), &params)};
	out->eight |= out->utf8; /* RFC 6531 3.1 */
	out->size = client_reply_keyword(r, STR("SIZE"), &params);
	if (!out->size || !str_u64(params, UINT64_MAX, &out->size_max)) { out->size_max = 0; }
	if (client_reply_keyword(r, STR("LIMITS"), &params)) { read_limits(params, out); }
	(void)client_reply_keyword(r, STR("AUTH"), &auth); /* without one there is no mechanism */
	out->auth = arena_dup(a, auth);
}

const char *client_offer_fit(const struct client_offer *o, const struct convert_needs *needs,
	uint8_t body, struct client_fit *out)
{
	bool unfit = needs->raw || needs->line_long;
	*out = (struct client_fit){.utf8 = (body & BODY_SMTPUTF8) && needs->utf8_header};
	if (out->utf8 && !o->utf8) {
		return "5.6.9 the header needs SMTPUTF8 and the server does not offer it";
	}
	out->chunked = (body & BODY_BINARY) && unfit && o->chunking && o->binary;
	out->convert = !out->chunked && (unfit || (needs->eight && !o->eight));
	return NULL;
}

bool client_offer_address(
	const struct client_offer *o, struct str address, struct arena *a, struct str *out)
{
	ptrdiff_t at = str_rchr(address, '@');
	struct str domain;
	*out = address;
	if (o->utf8 || str_ascii(address)) { return true; }
	if (at < 0 || !str_ascii(str_sub(address, 0, (size_t)at)) ||
		idn_domain(str_skip(address, (size_t)at + 1), a, &domain) < 0) {
		return false;
	}
	*out = arena_fmt(a, "%.*s@%.*s", (int)at, address.p, STR_ARG(domain));
	return true;
}
