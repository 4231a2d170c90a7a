/* BINARY: a part without its transfer encoding (RFC 9051 6.4.5, RFC 3516). The octets pass through
   the decoder twice, once for their number and once to be sent, so that memory stays bounded. */
#include "imap/fetch.h"

enum { PIECE = 32 * 1024 }; /* encoded octets at a time */

/* The next encoded piece; empty at the end of the part. */
static int next_piece(struct binary *b, struct snap *sn, const struct msg *m, struct str *out)
{
	*out = STR("");
	if (b->at == b->in.len) { return 0; }
	int rc = snap_msg_bytes(sn, m, b->in.off + b->at, out);
	if (rc < 0) { return rc; }
	*out = str_sub(*out, 0, (size_t)MIN((uint64_t)PIECE, b->in.len - b->at));
	b->at += out->n;
	return out->n ? 0 : ERR_DAMAGED;
}

/* Decode one piece into `scratch`. 1 when it was the last. */
static int decode_piece(struct binary *b, struct snap *sn, const struct msg *m, struct buf *scratch)
{
	struct str piece;
	int rc = next_piece(b, sn, m, &piece);
	if (rc < 0) { return rc; }
	buf_reset(scratch);
	if (piece.n) { transfer_decode(&b->decoder, piece, scratch); }
	if (b->at < b->in.len) { return 0; }
	transfer_end(&b->decoder, scratch);
	return 1;
}

static void rewind_binary(struct binary *b)
{
	b->at = b->out = 0;
	b->decoder = (struct transfer_decoder){.kind = b->kind};
}

int binary_measure(
	struct binary *b, struct snap *sn, const struct msg *m, struct buf *scratch, size_t budget)
{
	int rc = 0;
	if (b->sized) { return 1; }
	b->decoder.kind = b->kind;
	for (size_t used = 0; rc == 0 && used < budget; used += PIECE) {
		rc = decode_piece(b, sn, m, scratch);
		if (rc < 0) { return rc; }
		b->out += scratch->n;
		b->nul = b->nul || str_chr(buf_view(scratch), '\0') >= 0;
	}
	if (rc == 0) { return 0; }
	b->size = b->out;
	b->sized = true;
	rewind_binary(b);
	return 1;
}

int binary_decode(struct binary *b, struct snap *sn, const struct msg *m, struct extent want,
	struct buf *scratch, struct buf *out)
{
	if (b->out >= want.off + want.len) { return 1; }
	int rc = decode_piece(b, sn, m, scratch);
	if (rc < 0) { return rc; }
	uint64_t from = MAX(want.off, b->out), to = MIN(want.off + want.len, b->out + scratch->n);
	if (from < to) {
		buf_str(out,
			str_sub(buf_view(scratch), (size_t)(from - b->out), (size_t)(to - from)));
	}
	b->out += scratch->n;
	if (rc == 1 && b->out < want.off + want.len) { return ERR_DAMAGED; }
	return rc;
}
