/* The envelope of a message on its way in. Runs in mx and submit. Never decides whom to accept. */
#include "smtp/envelope.h"

#include "smtp/verdict.h"

struct envelope *envelope_new(int64_t now_us)
{
	struct envelope *e = xnew(struct envelope);
	e->id = id_new(now_us);
	e->started_us = now_us;
	return e;
}

void envelope_free(struct envelope *e)
{
	if (!e) { return; }
	verdict_free(e->verdict); /* it asks within our budget */
	free(e->rcpts);
	free(e->targets);
	free(e->locals);
	free(e->remotes);
	arena_fini(&e->arena);
	free(e);
}

/* Room for one more in an array whose count has met its limit before. */
static void *grow(void *array, uint32_t n, uint32_t *cap, size_t size)
{
	if (n < *cap) { return array; }
	*cap = *cap ? *cap * 2 : 4;
	array = reallocarray(array, *cap, size);
	if (!array) { abort(); }
	return array;
}

static struct env_rcpt *add_rcpt(struct envelope *e, struct str text)
{
	e->rcpts = grow(e->rcpts, e->rcpts_n, &e->rcpts_cap, sizeof *e->rcpts);
	struct env_rcpt *r = &e->rcpts[e->rcpts_n++];
	*r = (struct env_rcpt){.text = arena_dup(&e->arena, text), .first = e->targets_n};
	return r;
}

void envelope_refuse(struct envelope *e, struct str rcpt, struct str reply)
{
	struct env_rcpt *r;
	if (e->rcpts_n - e->accepted_n >= OP_RCPTS_MAX / 2) { return; } /* enough of them told */
	r = add_rcpt(e, str_sub(rcpt, 0, PATH_MAX_LEN));
	r->refused = true;
	r->reply = arena_dup(&e->arena, str_sub(reply, 0, OP_TEXT_MAX));
}

struct str envelope_reply(struct envelope *e, enum reply_id id, struct str detail)
{
	struct buf text = {0};
	reply_text(id, detail, &text);
	struct str reply = arena_dup(&e->arena, buf_view(&text));
	buf_fini(&text);
	return reply;
}

void envelope_refused(struct envelope *e, enum reply_id id, struct str detail)
{
	e->refusal = envelope_reply(e, id, detail);
}

static uint32_t local_of(struct envelope *e, const struct env_rcpt *r, const struct auth_target *t)
{
	for (uint32_t i = 0; i < e->locals_n; i++) {
		if (e->locals[i].aid == t->aid) { return i; }
	}
	e->locals = grow(e->locals, e->locals_n, &e->locals_cap, sizeof *e->locals);
	e->locals[e->locals_n] = (struct op_local_rcpt){
		.aid = t->aid, .rcpt = r->text, .folder = arena_dup(&e->arena, t->folder)};
	return e->locals_n++;
}

static uint32_t remote_of(struct envelope *e, const struct env_rcpt *r, const struct auth_target *t)
{
	for (uint32_t i = 0; i < e->remotes_n; i++) {
		if (str_ieq(e->remotes[i].rcpt, t->address)) { return i; }
	}
	e->remotes = grow(e->remotes, e->remotes_n, &e->remotes_cap, sizeof *e->remotes);
	e->remotes[e->remotes_n] = (struct op_remote_rcpt){
		.rcpt = arena_dup(&e->arena, t->address), .orcpt = r->orcpt, .notify = r->notify};
	return e->remotes_n++;
}

int envelope_accept(struct envelope *e, const struct rcpt_args *args,
	const struct auth_target *targets, size_t n)
{
	if (e->locals_n + n > OP_RCPTS_MAX || e->remotes_n + n > OP_RCPTS_MAX) { return ERR_LIMIT; }
	struct env_rcpt *r = add_rcpt(e, args->to.text);
	r->orcpt = arena_dup(&e->arena, args->orcpt);
	r->notify = args->notify;
	r->count = (uint32_t)n;
	for (size_t i = 0; i < n; i++) {
		bool remote = targets[i].aid == 0;
		uint32_t known = remote ? e->remotes_n : e->locals_n;
		uint32_t at = remote ? remote_of(e, r, &targets[i]) : local_of(e, r, &targets[i]);
		bool again = at < known;
		e->targets = grow(e->targets, e->targets_n, &e->targets_cap, sizeof *e->targets);
		e->targets[e->targets_n++] = (struct env_target){.remote = remote,
			.again = again,
			.at = at,
			.address = again ? STR("") : arena_dup(&e->arena, targets[i].address)};
	}
	e->accepted_n++;
	return 0;
}

static struct str prefix(struct arena *a, struct str from, struct str rcpt)
{
	return arena_fmt(
		a, "Return-Path: <%.*s>\r\nDelivered-To: %.*s\r\n", STR_ARG(from), STR_ARG(rcpt));
}

void envelope_prefixes(struct envelope *e)
{
	for (uint32_t i = 0; i < e->locals_n; i++) {
		struct op_local_rcpt *l = &e->locals[i];
		l->prefix = prefix(&e->arena, e->mail.from.text, l->rcpt);
	}
}

static bool any_local(const struct envelope *e, const struct env_rcpt *r)
{
	for (uint32_t i = r->first; i < r->first + r->count; i++) {
		if (!e->targets[i].remote) { return true; }
	}
	return false;
}

void envelope_reports(struct envelope *e)
{
	for (uint32_t i = 0; i < e->rcpts_n && e->remotes_n < OP_RCPTS_MAX; i++) {
		const struct env_rcpt *r = &e->rcpts[i];
		if (r->refused || !(r->notify & NOTIFY_SUCCESS) || !any_local(e, r)) { continue; }
		e->remotes = grow(e->remotes, e->remotes_n, &e->remotes_cap, sizeof *e->remotes);
		e->remotes[e->remotes_n++] = (struct op_remote_rcpt){.rcpt = r->text,
			.orcpt = r->orcpt,
			.notify = NOTIFY_SUCCESS | NOTIFY_DELIVERED};
	}
}

void envelope_no_reports(struct envelope *e)
{
	for (uint32_t i = 0; i < e->remotes_n; i++) {
		uint8_t *notify = &e->remotes[i].notify;
		/* who wanted to hear of nothing else must not hear of failure by default */
		if (*notify == NOTIFY_SUCCESS) { *notify = NOTIFY_NEVER; }
		*notify &= (uint8_t)~NOTIFY_SUCCESS;
	}
}
