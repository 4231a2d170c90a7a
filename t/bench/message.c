/* The message that the load generator sends. */
#include "t/bench/message.h"

#include <stdio.h>

#define BOUNDARY "=_bench_boundary"
#define NUMBER "0000000000"
#define AUTHOR "<sender@client.test>                        "

static const char head[] = "Date: Mon, 06 Jul 2026 10:00:00 +0000\r\n"
			   "From: \"Bench Sender\" " AUTHOR "\r\n"
			   "To: \"First Reader\" <first@bench.test>, second@bench.test\r\n"
			   "Subject: Figures of the day, copy " NUMBER "\r\n"
			   "Message-ID: <" NUMBER ".bench@client.test>\r\n"
			   "MIME-Version: 1.0\r\n"
			   "Content-Type: multipart/alternative; boundary=\"" BOUNDARY "\"\r\n"
			   "\r\n"
			   "--" BOUNDARY "\r\n"
			   "Content-Type: text/plain; charset=utf-8\r\n"
			   "Content-Transfer-Encoding: 7bit\r\n"
			   "\r\n"
			   "The figures are in the other part.\r\n"
			   "--" BOUNDARY "\r\n"
			   "Content-Type: text/html; charset=utf-8\r\n"
			   "\r\n";
static const char tail[] = "\r\n--" BOUNDARY "--\r\n";

/* Text lines of 76 octets and CRLF, the last one cut, until `n` octets are there. */
static void add_text(struct buf *out, size_t n)
{
	uint64_t state = 88172645463325252;
	for (size_t i = 0; i < n; i++) {
		size_t column = i % 78;
		if (i + 1 == n || (column == 77 && i + 2 != n)) {
			buf_chr(out, '\n');
		} else if (i + 2 == n || column == 76) {
			buf_chr(out, '\r');
		} else {
			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			buf_chr(out, "abcdefghijklmnopqrstuvwxyz     "[state % 31]);
		}
	}
}

void message_init(struct message *m, size_t size)
{
	*m = (struct message){0};
	size_t text_n = size - (sizeof head - 1) - (sizeof tail - 1);
	buf_add(&m->text, head, sizeof head - 1);
	if (text_n % 78 == 1) { /* the last line would have no room for its CRLF */
		buf_str(&m->text, STR("<p>"));
		text_n -= 3;
	}
	add_text(&m->text, text_n);
	buf_add(&m->text, tail, sizeof tail - 1);
	assert(m->text.n == size);
	struct str all = buf_view(&m->text);
	m->author_at = (size_t)str_find(all, STR(AUTHOR));
	m->number_at[0] = (size_t)str_find(all, STR(NUMBER));
	m->number_at[1] = m->number_at[0] + 1 +
			  (size_t)str_find(str_skip(all, m->number_at[0] + 1), STR(NUMBER));
}

bool message_prepend(struct message *m, const char *file)
{
	char fields[16 * 1024];
	struct buf whole = {0};
	FILE *f = fopen(file, "r");
	size_t n = f ? fread(fields, 1, sizeof fields, f) : 0;
	if (f) { fclose(f); }
	buf_add(&whole, fields, n);
	buf_str(&whole, buf_view(&m->text));
	buf_fini(&m->text);
	m->text = whole;
	m->author_at += n;
	for (size_t i = 0; i < COUNT(m->number_at); i++) { m->number_at[i] += n; }
	return n > 0 && n < sizeof fields;
}

void message_author(struct message *m, struct str address)
{
	char *at = m->text.p + m->author_at;
	assert(address.n + 2 < sizeof AUTHOR);
	memset(at, ' ', sizeof AUTHOR - 1);
	at[0] = '<';
	memcpy(at + 1, address.p, address.n);
	at[1 + address.n] = '>';
}

void message_fini(struct message *m)
{
	buf_fini(&m->text);
}

void message_render(struct message *m, uint64_t number, struct buf *out)
{
	char digits[32];
	snprintf(digits, sizeof digits, "%010llu", (unsigned long long)(number % 10000000000));
	for (size_t i = 0; i < COUNT(m->number_at); i++) {
		memcpy(m->text.p + m->number_at[i], digits, 10);
	}
	buf_str(out, buf_view(&m->text));
}
