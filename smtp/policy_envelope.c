/* Checks of the envelope: at MAIL, and at RCPT of each recipient. Runs in mx and submit. */
#include "smtp/policy_look.h"

enum look look_size(struct session *s, struct looked *l)
{
	uint64_t max = s->server->conf->message_max, size = s->env->mail.size;
	if (size == 0) { return LOOK_SKIP; }
	if (size <= max) { return LOOK_PASS; }
	l->detail = arena_fmt(l->arena, "%llu octets were announced", (unsigned long long)size);
	l->say = arena_fmt(l->arena, "%llu", (unsigned long long)max);
	return LOOK_HIT;
}

/* "user%elsewhere@here", "elsewhere!user@here", "user@elsewhere"@here: tries at being relayed. */
enum look look_routed(struct session *s, struct looked *l)
{
	struct str local = s->rcpt.to.local;
	if (str_chr(local, '%') < 0 && str_chr(local, '!') < 0 && str_chr(local, '@') < 0) {
		return LOOK_PASS;
	}
	l->detail = s->rcpt.to.text;
	return LOOK_HIT;
}
