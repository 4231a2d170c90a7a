/* Reads flags. Pure functions, the imap role. */
#include "imap/flags.h"

static const struct {
	const char *name;
	uint64_t flag;
} system_flags[] = {
	{"\\Seen", FLAG_SEEN},
	{"\\Answered", FLAG_ANSWERED},
	{"\\Flagged", FLAG_FLAGGED},
	{"\\Deleted", FLAG_DELETED},
	{"\\Draft", FLAG_DRAFT},
};

/* FLAG_* of "\Seen" and its sisters in any case; 0 when it is none of them. */
static uint64_t system_flag(struct str name)
{
	for (size_t i = 0; i < COUNT(system_flags); i++) {
		if (str_ieq(name, str_of(system_flags[i].name))) { return system_flags[i].flag; }
	}
	return 0;
}

static void add_keyword(struct flag_list *list, struct str name)
{
	for (uint32_t i = 0; i < list->keywords_n; i++) {
		if (str_ieq(list->keywords[i].s, name)) { return; }
	}
	if (list->keywords_n == KEYWORDS_MAX || name.n > KEYWORD_LEN_MAX) {
		list->too_many = true;
		return;
	}
	list->keywords[list->keywords_n++].s = name;
}

static bool add_flag(struct lex *l, struct flag_list *list)
{
	struct str name;
	if (!lex_flag(l, &name)) { return false; }
	uint64_t flag = system_flag(name);
	if (!flag && str_starts(name, STR("\\"))) {
		l->error = "no such system flag";
		return false;
	}
	list->flags |= flag;
	if (!flag) { add_keyword(list, name); }
	return true;
}

bool flag_list_parse(struct lex *l, bool bare, struct flag_list *out)
{
	*out = (struct flag_list){
		.keywords = arena_array(l->arena, KEYWORDS_MAX, sizeof *out->keywords)};
	bool open = lex_chr(l, '(');
	if (!open && !bare) {
		l->error = "expected ( and flags";
		return false;
	}
	if (open && lex_chr(l, ')')) { return true; }
	do {
		if (!add_flag(l, out)) { return false; }
	} while (lex_space(l));
	if (open && !lex_chr(l, ')')) {
		l->error = "expected ) after the flags";
		return false;
	}
	return true;
}
