/* Structs as bytes, both ways from one table of fields: messages between roles and records in the
   store. Integers are big-endian, strings and lists carry a length; fields stand in table order
   without names, so a table may only grow at its end: a record that ends early reads as zeros from
   there on, octets behind the last known field are an error. */
#pragma once

#include "lib/lib.h"

enum wire_kind {
	WIRE_K_U8,
	WIRE_K_U32,
	WIRE_K_U64,  /* also int64_t */
	WIRE_K_BOOL, /* bool, 0 or 1 on the wire */
	WIRE_K_STR,  /* struct str; max = octets */
	WIRE_K_LIST, /* pointer to `sub` structs + uint32_t count at `offset2`; max = elements */
	WIRE_K_SUB   /* one `sub` struct in place */
};

struct wire_field {
	enum wire_kind kind;
	uint16_t offset, offset2;
	uint32_t max;
	const struct wire *sub;
	const char *name; /* for dumps and JSON */
};

struct wire {
	const char *name;
	size_t size; /* of the C struct */
	const struct wire_field *fields;
	size_t n;
};

#define WIRE_F(k, type, member, ...) \
	{ \
		.kind = (k), .offset = offsetof(type, member), .name = #member, __VA_ARGS__ \
	}
#define WIRE_U8(type, member) WIRE_F(WIRE_K_U8, type, member, )
#define WIRE_U32(type, member) WIRE_F(WIRE_K_U32, type, member, )
#define WIRE_U64(type, member) WIRE_F(WIRE_K_U64, type, member, )
#define WIRE_BOOL(type, member) WIRE_F(WIRE_K_BOOL, type, member, )
#define WIRE_STR(type, member, most) WIRE_F(WIRE_K_STR, type, member, .max = (most))
#define WIRE_SUB(type, member, table) WIRE_F(WIRE_K_SUB, type, member, .sub = &(table))
#define WIRE_LIST(type, member, count, table, most) \
	WIRE_F(WIRE_K_LIST, type, member, .offset2 = offsetof(type, count), .sub = &(table), \
		.max = (most))
#define WIRE_TABLE(type, table, ...) \
	static const struct wire_field table##_fields[] = {__VA_ARGS__}; \
	const struct wire table = {.name = #type, \
		.size = sizeof(struct type), \
		.fields = table##_fields, \
		.n = COUNT(table##_fields)}

/* Lists of one string or one number each. */
struct wire_str_item {
	struct str s;
};
struct wire_u64_item {
	uint64_t v;
};
extern const struct wire wire_str_item, wire_u64_item;

/* Append `v` (a struct as `w` describes). Passing a field's max is our own bug: asserted. */
void wire_pack(const struct wire *w, const void *v, struct buf *out);
/* Fill `v` (zeroed first). Strings are borrowed from `in`; lists come from `a`. ERR_SYNTAX when
 * anything is out of bounds. */
int wire_unpack(const struct wire *w, struct str in, struct arena *a, void *v);
/* As JSON object {"member":value,...}; strings as UTF-8 with \u escapes, bad octets as U+FFFD. */
void wire_json(const struct wire *w, const void *v, struct buf *out);
/* One string as JSON, with its quotes. */
void json_str(struct str s, struct buf *out);
/* The name of the next member of the object that `out` ends in: `,"name":`, without the comma
   behind "{". Names are ours. */
void json_name(const char *name, struct buf *out);
/* A member whose value is a string. */
void json_member(const char *name, struct str value, struct buf *out);
