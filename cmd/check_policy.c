/* posthouse check --policy: the whole policy of a server, from its configuration alone. */
#include "cmd/check_policy.h"

#include <stdio.h>
#include <sysexits.h>

#include "smtp/policy_rules.h"
#include "smtp/server.h"

static const struct {
	unsigned at;
	const char *name;
} services[] = {{AT_MX, "smtp"}, {AT_LMTP, "lmtp"}, {AT_SUBMIT, "submission"}};

static const char *const kinds[] = {[EXCEPT_NETWORK] = "network",
	[EXCEPT_ADDRESS] = "address",
	[EXCEPT_DOMAIN] = "domain",
	[EXCEPT_BELOW] = "domain and below",
	[EXCEPT_LIST] = "list-id"};

/* --- text --- */

static void put_words(enum policy_id id, char sep, bool quoted, struct buf *out)
{
	size_t had = out->n;
	for (enum policy_action a = POLICY_OFF; a < POLICY_ACTIONS; a++) {
		if (!policy_may(id, a)) { continue; }
		if (out->n > had) { buf_chr(out, sep); }
		buf_str(out, quoted ? STR("\"") : STR(""));
		buf_str(out, policy_action_name(a));
		buf_str(out, quoted ? STR("\"") : STR(""));
	}
}

static bool action_is_set(const struct conf *conf, enum policy_id id, struct buf *key)
{
	struct buf value = {0};
	bool set;
	buf_fmt(key, "policy.%.*s", STR_ARG(policy_name(id)));
	int rc = conf_show(conf, buf_view(key), &value, &set);
	assert(rc == 0);
	buf_fini(&value);
	return rc == 0 && set;
}

static void print_measures(const struct conf *conf, enum policy_id id)
{
	for (const char *const *key = policy_measures(id); *key; key++) {
		struct buf value = {0};
		bool set;
		int rc = conf_show(conf, str_of(*key), &value, &set);
		assert(rc == 0);
		printf("%30s%s = %s%s\n", "", *key, rc == 0 && value.n ? buf_cstr(&value) : "none",
			rc == 0 && set ? "" : " (default)");
		buf_fini(&value);
	}
}

static void print_check(const struct conf *conf, const struct policy *p, enum policy_id id)
{
	struct buf may = {0}, key = {0}, at = {0};
	put_words(id, ' ', false, &may);
	for (size_t i = 0; i < COUNT(services); i++) {
		if (!(policy_at(id) & services[i].at)) { continue; }
		buf_fmt(&at, "%s%s", at.n ? ", " : "", services[i].name);
	}
	printf("%-12.*s %-12.*s %-7.*s (%s; may be: %s)\n",
		STR_ARG(policy_stage_name(policy_stage_of(id))), STR_ARG(policy_name(id)),
		STR_ARG(policy_action_name(p->action[id])),
		action_is_set(conf, id, &key) ? "set" : "default", buf_cstr(&may));
	printf("%30s%s [%s]\n", "", policy_help(id), buf_cstr(&at));
	print_measures(conf, id);
	buf_fini(&may);
	buf_fini(&key);
	buf_fini(&at);
}

static void print_text(const struct conf *conf, const struct policy *p)
{
	for (enum policy_id i = 0; i < POLICY_N; i++) { print_check(conf, p, i); }
	printf("exceptions   %s\n", p->rules->excepts_n ? "" : "none");
	for (size_t i = 0; i < p->rules->excepts_n; i++) {
		const struct policy_except *x = &p->rules->excepts[i];
		printf("%30s%.*s (%s)\n", "", STR_ARG(x->text), kinds[x->kind]);
	}
}

/* --- JSON --- */

static void json_settings(const struct conf *conf, enum policy_id id, struct buf *out)
{
	json_name("settings", out);
	buf_chr(out, '[');
	for (const char *const *key = policy_measures(id); *key; key++) {
		struct buf value = {0};
		bool set;
		int rc = conf_show(conf, str_of(*key), &value, &set);
		assert(rc == 0);
		buf_str(out, key != policy_measures(id) ? STR(",{") : STR("{"));
		json_member("key", str_of(*key), out);
		json_member("value", buf_view(&value), out);
		buf_fmt(out, ",\"set\":%s}", rc == 0 && set ? "true" : "false");
		buf_fini(&value);
	}
	buf_chr(out, ']');
}

static void json_services(enum policy_id id, struct buf *out)
{
	const char *sep = "";
	json_name("services", out);
	buf_chr(out, '[');
	for (size_t i = 0; i < COUNT(services); i++) {
		if (!(policy_at(id) & services[i].at)) { continue; }
		buf_fmt(out, "%s\"%s\"", sep, services[i].name);
		sep = ",";
	}
	buf_chr(out, ']');
}

static void json_check(
	const struct conf *conf, const struct policy *p, enum policy_id id, struct buf *out)
{
	struct buf key = {0};
	buf_str(out, id ? STR(",\n{") : STR("\n{"));
	json_member("name", policy_name(id), out);
	json_member("stage", policy_stage_name(policy_stage_of(id)), out);
	json_member("action", policy_action_name(p->action[id]), out);
	buf_fmt(out, ",\"set\":%s", action_is_set(conf, id, &key) ? "true" : "false");
	json_member("default", policy_action_name(policy_standard(id)), out);
	json_name("may", out);
	buf_chr(out, '[');
	put_words(id, ',', true, out);
	buf_chr(out, ']');
	json_services(id, out);
	json_settings(conf, id, out);
	json_member("hits", str_of(policy_help(id)), out);
	buf_chr(out, '}');
	buf_fini(&key);
}

static void print_json(const struct conf *conf, const struct policy *p)
{
	struct buf out = {0};
	buf_str(&out, STR("{\"checks\":["));
	for (enum policy_id i = 0; i < POLICY_N; i++) { json_check(conf, p, i, &out); }
	buf_str(&out, STR("],\n\"exceptions\":["));
	for (size_t i = 0; i < p->rules->excepts_n; i++) {
		const struct policy_except *x = &p->rules->excepts[i];
		struct str whom = x->text;
		buf_str(&out, i ? STR(",\n{") : STR("\n{"));
		str_cut(&whom, '=', &(struct str){0});
		json_member("check", x->all ? STR("*") : policy_name(x->id), &out);
		json_member("kind", str_of(kinds[x->kind]), &out);
		json_member("whom", str_trim(whom), &out);
		buf_chr(&out, '}');
	}
	printf("%.*s]}\n", STR_ARG(buf_view(&out)));
	buf_fini(&out);
}

int policy_print(const struct command *c, const struct conf *conf, bool json)
{
	struct policy p = {0};
	struct err e = {0};
	if (policy_load(&p, conf_get(conf, &policy_conf_section), &e) < 0) {
		return command_fail(c, EX_CONFIG, "%s", e.text);
	}
	if (json) {
		print_json(conf, &p);
	} else {
		print_text(conf, &p);
	}
	policy_fini(&p);
	return EX_OK;
}
