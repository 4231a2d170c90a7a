/* Password hashing in threads: the one place with threads of ours. A thread sees a job between the
   two queues and nothing else. Runs in the auth role. */
#include "auth/password.h"

#include <crypt.h>
#include <pthread.h>
#include <stdio.h>

#include "auth/auth.h"

enum { STACK = 128 * 1024 };

struct password_pool {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct list todo, finished;
	unsigned queued;
	bool stop;
	struct waker waker;
	char dummy[CRYPT_OUTPUT_SIZE];
	unsigned threads_n;
	pthread_t threads[PASSWORD_THREADS_MAX];
};

static bool equal(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	unsigned char diff = n != m;
	for (size_t i = 0; i < n && i < m; i++) { diff |= (unsigned char)(a[i] ^ b[i]); }
	return diff == 0;
}

static bool matches(const char *password, const char *hash, struct crypt_data *data)
{
	const char *got = crypt_rn(password, hash, data, sizeof *data);
	return got && equal(got, hash);
}

static void hash_job(struct password_pool *p, struct password_job *j)
{
	bool found = false;
	/* 32 KiB that idle threads do not hold */
	struct crypt_data *data = xnew(struct crypt_data);
	for (unsigned i = 0; i < j->hashes_n; i++) {
		found |= matches(j->password, j->hashes[i], data);
	}
	if (j->hashes_n == 0) {
		(void)matches(j->password, p->dummy, data); /* as slow as a real one */
	}
	j->matched = found;
	wipe(data, sizeof *data);
	free(data);
}

static void *thread_main(void *arg)
{
	struct password_pool *p = arg;
	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		struct list *node = list_pop(&p->todo);
		if (!node) {
			pthread_cond_wait(&p->work, &p->lock);
			continue;
		}
		pthread_mutex_unlock(&p->lock);
		struct password_job *j = list_entry(node, struct password_job, node);
		hash_job(p, j);
		pthread_mutex_lock(&p->lock);
		list_add(&p->finished, &j->node);
		loop_wake(&p->waker);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void finish(struct password_pool *p, struct password_job *j)
{
	p->queued--;
	wipe(j->password, sizeof j->password);
	j->done(j);
}

static void on_finished(struct waker *w)
{
	struct password_pool *p = container_of(w, struct password_pool, waker);
	for (;;) {
		pthread_mutex_lock(&p->lock);
		struct list *node = list_pop(&p->finished);
		pthread_mutex_unlock(&p->lock);
		if (!node) { return; }
		finish(p, list_entry(node, struct password_job, node));
	}
}

/* A hash with today's default parameters that no password has, for users that do not exist. */
static void make_dummy(struct password_pool *p)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE], salt[16];
	random_bytes(salt, sizeof salt);
	if (!crypt_gensalt_rn("$y$", 0, salt, sizeof salt, setting, sizeof setting)) { abort(); }
	snprintf(p->dummy, sizeof p->dummy, "%s$%043d", setting, 0);
}

struct password_pool *password_pool_new(struct loop *l, unsigned threads)
{
	struct password_pool *p = xnew(struct password_pool);
	pthread_attr_t attr;
	assert(threads >= 1 && threads <= PASSWORD_THREADS_MAX);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	list_init(&p->todo);
	list_init(&p->finished);
	make_dummy(p);
	waker_start(l, &p->waker, on_finished);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	while (p->threads_n < threads) {
		if (pthread_create(&p->threads[p->threads_n], &attr, thread_main, p) != 0) {
			abort();
		}
		p->threads_n++;
	}
	pthread_attr_destroy(&attr);
	return p;
}

void password_pool_free(struct password_pool *p)
{
	struct list *node;
	if (!p) { return; }
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->threads_n; i++) { pthread_join(p->threads[i], NULL); }
	while ((node = list_pop(&p->todo)) || (node = list_pop(&p->finished))) {
		finish(p, list_entry(node, struct password_job, node));
	}
	waker_stop(&p->waker);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

int password_check(struct password_pool *p, struct password_job *j)
{
	if (p->queued == PASSWORD_QUEUE_MAX) { return ERR_AGAIN; }
	p->queued++;
	j->matched = false;
	pthread_mutex_lock(&p->lock);
	list_init(&j->node);
	list_add(&p->todo, &j->node);
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

int auth_hash(struct str password, struct str scheme, struct buf *out, struct err *e)
{
	static const struct {
		const char *name, *prefix;
	} schemes[] = {{"yescrypt", "$y$"}, {"bcrypt", "$2b$"}, {"sha512-crypt", "$6$"}};
	char setting[CRYPT_GENSALT_OUTPUT_SIZE], salt[16];
	const char *prefix = scheme.n == 0 ? "$y$" : NULL;
	for (size_t i = 0; i < COUNT(schemes); i++) {
		if (str_eq(scheme, str_of(schemes[i].name))) { prefix = schemes[i].prefix; }
	}
	if (!prefix) {
		return err_set(e, ERR_SYNTAX,
			"password scheme \"%.*s\" is not known: use yescrypt, bcrypt or "
			"sha512-crypt",
			STR_ARG(scheme));
	}
	if (password.n == 0 || password.n > AUTH_PASSWORD_MAX || str_chr(password, '\0') >= 0) {
		return err_set(e, ERR_SYNTAX, "a password has 1 to %d octets and no NUL",
			AUTH_PASSWORD_MAX);
	}
	random_bytes(salt, sizeof salt);
	struct crypt_data *data = xnew(struct crypt_data);
	char *text = xstrdup(password);
	const char *got = NULL;
	if (crypt_gensalt_rn(prefix, 0, salt, sizeof salt, setting, sizeof setting)) {
		got = crypt_rn(text, setting, data, sizeof *data);
	}
	if (got) { buf_str(out, str_of(got)); }
	wipe(text, password.n);
	free(text);
	wipe(data, sizeof *data);
	free(data);
	return got ? 0
		   : err_set(e, ERR_LIMIT,
			     "crypt(3) refused the password (bcrypt takes at most 72 octets)");
}
