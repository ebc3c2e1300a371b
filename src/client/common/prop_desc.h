/*
 * Descriptions of pool and container properties: name, kind of value, limits, names of values. The
 * one table behind validation, text forms and copying of property lists.
 */
#ifndef CLIENT_COMMON_PROP_DESC_H
#define CLIENT_COMMON_PROP_DESC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <daos_prop.h>

/* What the union of a property entry holds. */
enum prop_kind {
	PROP_NUM,
	PROP_STR,
	PROP_ACL,   /* struct daos_acl */
	PROP_RANKS, /* d_rank_list_t */
	PROP_ROOTS, /* struct daos_prop_co_roots */
};

/* Who may set a property. */
enum {
	PROP_CREATE = 1 << 0, /* given at creation */
	PROP_SET = 1 << 1,    /* changed later */
	PROP_FLAGS = 1 << 2,  /* the words are flags, or-ed, separated by ';' */
	PROP_BYTES = 1 << 3,  /* a size: text may have a suffix */
};

struct prop_word {
	const char *word; /* NULL ends a table */
	uint64_t val;
};

struct prop_desc {
	uint32_t type;    /* DAOS_PROP_PO_* or DAOS_PROP_CO_* */
	const char *name; /* on command lines */
	const char *old_name;
	enum prop_kind kind;
	unsigned int flags;
	/* Numbers only: smallest and largest value, and what it must be a multiple of (0:
	 * anything). */
	uint64_t min;
	uint64_t max;
	uint64_t multiple;
	/* Values by name; NULL: plain numbers. */
	const struct prop_word *words;
	/* Value of a new pool or container; containers take some from their pool instead. */
	uint64_t dflt;
};

/* All descriptions of pools or of containers, in order of type. */
const struct prop_desc *prop_descs(bool pool, size_t *ret_nr);

/* By type (both kinds), or by name in either spelling, case ignored. NULL if unknown. */
const struct prop_desc *prop_desc_of(uint32_t type);
const struct prop_desc *prop_desc_named(bool pool, const char *name, size_t name_len);

/* A number within the limits? */
bool prop_num_is_valid(const struct prop_desc *desc, uint64_t val);

/* Value of a PROP_NUM property from text: a word, or a number within the limits. -DER_INVAL. */
int prop_num_parse(const struct prop_desc *desc, const char *text, size_t text_len,
		   uint64_t *ret_val);

/* Text of a value: its word if it has one, else the number. Returns what snprintf() returns. */
int prop_num_print(const struct prop_desc *desc, uint64_t val, char *buf, size_t size);

#endif
