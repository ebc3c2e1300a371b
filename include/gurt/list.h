/*
 * Intrusive lists.
 *
 * d_list_t is a circular doubly linked list whose head is a d_list_t of its own; an empty head and
 * a detached, initialised entry point to themselves. d_hlist has a one-pointer head, for hash
 * buckets; its nodes know the pointer that points to them. Nothing here allocates or locks.
 */
#ifndef GURT_LIST_H
#define GURT_LIST_H

#include <stddef.h>

#ifndef prefetch
#define prefetch(a) __builtin_prefetch((a), 0, 1)
#endif

struct d_list_head {
	struct d_list_head *next, *prev;
};

typedef struct d_list_head d_list_t;

#define D_LIST_HEAD_INIT(name)                                                                     \
	{                                                                                          \
		&(name), &(name)                                                                   \
	}
#define D_LIST_HEAD(name) d_list_t name = D_LIST_HEAD_INIT(name)

/** Make ptr an empty head, or a detached entry. */
#define D_INIT_LIST_HEAD(ptr)                                                                      \
	do {                                                                                       \
		(ptr)->next = (ptr);                                                               \
		(ptr)->prev = (ptr);                                                               \
	} while (0)

#if defined(__cplusplus)
extern "C" {
#endif

static inline void
__gurt_list_add(d_list_t *newe, d_list_t *prev, d_list_t *next)
{
	newe->prev = prev;
	newe->next = next;
	prev->next = newe;
	next->prev = newe;
}

static inline void
__gurt_list_del(d_list_t *prev, d_list_t *next)
{
	prev->next = next;
	next->prev = prev;
}

/** Insert as first entry. */
static inline void
d_list_add(d_list_t *newe, d_list_t *head)
{
	__gurt_list_add(newe, head, head->next);
}

/** Insert as last entry. */
static inline void
d_list_add_tail(d_list_t *newe, d_list_t *head)
{
	__gurt_list_add(newe, head->prev, head);
}

/** Unlink; the entry's own pointers stay as they were and must not be followed. */
static inline void
d_list_del(d_list_t *entry)
{
	__gurt_list_del(entry->prev, entry->next);
}

/** Unlink and leave the entry detached (d_list_empty() is true of it). */
static inline void
d_list_del_init(d_list_t *entry)
{
	d_list_del(entry);
	D_INIT_LIST_HEAD(entry);
}

/** Take an entry from its list and make it the first of another. */
static inline void
d_list_move(d_list_t *list, d_list_t *head)
{
	d_list_del(list);
	d_list_add(list, head);
}

/** Take an entry from its list and make it the last of another. */
static inline void
d_list_move_tail(d_list_t *list, d_list_t *head)
{
	d_list_del(list);
	d_list_add_tail(list, head);
}

static inline int
d_list_empty(d_list_t *head)
{
	return head->next == head;
}

/** As d_list_empty(), but also false while a removal on another thread is half done. */
static inline int
d_list_empty_careful(const d_list_t *head)
{
	const d_list_t *next = head->next;

	return next == head && next == head->prev;
}

static inline void
__gurt_list_splice(d_list_t *list, d_list_t *head)
{
	d_list_t *first = list->next;
	d_list_t *last = list->prev;

	last->next = head->next;
	head->next->prev = last;
	first->prev = head;
	head->next = first;
}

/** Put all entries of list in front of those of head; list itself is left undefined. */
static inline void
d_list_splice(d_list_t *list, d_list_t *head)
{
	if (!d_list_empty(list))
		__gurt_list_splice(list, head);
}

/** As d_list_splice(), and list is empty afterwards. */
static inline void
d_list_splice_init(d_list_t *list, d_list_t *head)
{
	d_list_splice(list, head);
	D_INIT_LIST_HEAD(list);
}

/** The struct of the given type whose member is at ptr. */
#define d_list_entry(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/** Take off and return the first entry's struct, NULL when the list is empty. */
#define d_list_pop_entry(list, type, member)                                                       \
	({                                                                                         \
		type *__pop = NULL;                                                                \
		if (!d_list_empty(list)) {                                                         \
			__pop = d_list_entry((list)->next, type, member);                          \
			d_list_del_init((list)->next);                                             \
		}                                                                                  \
		__pop;                                                                             \
	})

/*
 * Loops. pos is the cursor. Names with "entry" walk structs, the others walk links; "safe" ones
 * hold the following element in n, so that the body may remove pos; "typed" ones take the type
 * instead of deriving it from pos.
 */
#define d_list_for_each(pos, head)                                                                 \
	for (pos = (head)->next, prefetch(pos->next); pos != (head);                               \
	     pos = pos->next, prefetch(pos->next))

#define d_list_for_each_prev(pos, head)                                                            \
	for (pos = (head)->prev, prefetch(pos->prev); pos != (head);                               \
	     pos = pos->prev, prefetch(pos->prev))

#define d_list_for_each_safe(pos, n, head)                                                         \
	for (pos = (head)->next, n = pos->next; pos != (head); pos = n, n = pos->next)

#define d_list_for_each_entry_typed(pos, head, type, member)                                       \
	for (pos = d_list_entry((head)->next, type, member); &pos->member != (head);               \
	     pos = d_list_entry(pos->member.next, type, member))

#define d_list_for_each_entry_reverse_typed(pos, head, type, member)                               \
	for (pos = d_list_entry((head)->prev, type, member); &pos->member != (head);               \
	     pos = d_list_entry(pos->member.prev, type, member))

#define d_list_for_each_entry_safe_typed(pos, n, head, type, member)                               \
	for (pos = d_list_entry((head)->next, type, member),                                       \
	    n = d_list_entry(pos->member.next, type, member);                                      \
	     &pos->member != (head); pos = n, n = d_list_entry(n->member.next, type, member))

/** Starts at pos itself. */
#define d_list_for_each_entry_safe_from_typed(pos, n, head, type, member)                          \
	for (n = d_list_entry(pos->member.next, type, member); &pos->member != (head);             \
	     pos = n, n = d_list_entry(n->member.next, type, member))

#define d_list_for_each_entry(pos, head, member)                                                   \
	d_list_for_each_entry_typed(pos, head, __typeof__(*pos), member)

#define d_list_for_each_entry_rcu(pos, head, member) d_list_for_each_entry (pos, head, member)

#define d_list_for_each_entry_reverse(pos, head, member)                                           \
	d_list_for_each_entry_reverse_typed(pos, head, __typeof__(*pos), member)

#define d_list_for_each_entry_safe(pos, n, head, member)                                           \
	d_list_for_each_entry_safe_typed(pos, n, head, __typeof__(*pos), member)

#define d_list_for_each_entry_safe_from(pos, n, head, member)                                      \
	d_list_for_each_entry_safe_from_typed(pos, n, head, __typeof__(*pos), member)

/** Starts at the entry after pos. */
#define d_list_for_each_entry_continue(pos, head, member)                                          \
	for (pos = d_list_entry(pos->member.next, __typeof__(*pos), member);                       \
	     &pos->member != (head);                                                               \
	     pos = d_list_entry(pos->member.next, __typeof__(*pos), member))

#define d_list_for_each_entry_reverse_safe(pos, n, head, member)                                   \
	for (pos = d_list_entry((head)->prev, __typeof__(*pos), member),                           \
	    n = d_list_entry(pos->member.prev, __typeof__(*pos), member);                          \
	     &pos->member != (head);                                                               \
	     pos = n, n = d_list_entry(pos->member.prev, __typeof__(*pos), member))

typedef struct d_hlist_node {
	struct d_hlist_node *next, **pprev;
} d_hlist_node_t;

typedef struct d_hlist_head {
	d_hlist_node_t *first;
} d_hlist_head_t;

#define NULL_P NULL
#define D_HLIST_HEAD_INIT                                                                          \
	{                                                                                          \
		NULL_P                                                                             \
	}
#define D_HLIST_HEAD(name)     d_hlist_head_t name = {NULL_P}
#define D_INIT_HLIST_HEAD(ptr) ((ptr)->first = NULL_P)
#define D_INIT_HLIST_NODE(ptr) ((ptr)->next = NULL_P, (ptr)->pprev = NULL_P)

/** True of a node that is on no list. */
static inline int
d_hlist_unhashed(const d_hlist_node_t *h)
{
	return h->pprev == NULL;
}

static inline int
d_hlist_empty(const d_hlist_head_t *h)
{
	return h->first == NULL;
}

static inline void
__gurt_hlist_del(d_hlist_node_t *n)
{
	if (n->next != NULL)
		n->next->pprev = n->pprev;
	*n->pprev = n->next;
}

static inline void
d_hlist_del(d_hlist_node_t *n)
{
	__gurt_hlist_del(n);
}

/** Unlink if linked; the node is then unhashed. */
static inline void
d_hlist_del_init(d_hlist_node_t *n)
{
	if (d_hlist_unhashed(n))
		return;
	__gurt_hlist_del(n);
	D_INIT_HLIST_NODE(n);
}

static inline void
d_hlist_add_head(d_hlist_node_t *n, d_hlist_head_t *h)
{
	n->next = h->first;
	n->pprev = &h->first;
	if (n->next != NULL)
		n->next->pprev = &n->next;
	h->first = n;
}

/** Insert n in front of the linked node next. */
static inline void
d_hlist_add_before(d_hlist_node_t *n, d_hlist_node_t *next)
{
	n->next = next;
	n->pprev = next->pprev;
	*n->pprev = n;
	next->pprev = &n->next;
}

/** Insert n behind the linked node prev. */
static inline void
d_hlist_add_after(d_hlist_node_t *n, d_hlist_node_t *prev)
{
	n->next = prev->next;
	n->pprev = &prev->next;
	prev->next = n;
	if (n->next != NULL)
		n->next->pprev = &n->next;
}

#define d_hlist_entry(ptr, type, member) d_list_entry(ptr, type, member)

#define dhlist_for_each(pos, head) for (pos = (head)->first; pos != NULL; pos = pos->next)

#define dhlist_for_each_safe(pos, n, head)                                                         \
	for (pos = (head)->first; pos != NULL && (n = pos->next, 1); pos = n)

#define dhlist_for_each_entry_typed(tpos, pos, head, type, member)                                 \
	for (pos = (head)->first; pos != NULL && (tpos = d_hlist_entry(pos, type, member), 1);     \
	     pos = pos->next)

#define dhlist_for_each_entry_safe_typed(tpos, pos, n, head, type, member)                         \
	for (pos = (head)->first;                                                                  \
	     pos != NULL && (n = pos->next, tpos = d_hlist_entry(pos, type, member), 1); pos = n)

#define dhlist_for_each_entry(tpos, pos, head, member)                                             \
	dhlist_for_each_entry_typed(tpos, pos, head, __typeof__(*tpos), member)

#define dhlist_for_each_entry_safe(tpos, pos, n, head, member)                                     \
	dhlist_for_each_entry_safe_typed(tpos, pos, n, head, __typeof__(*tpos), member)

/** Starts behind pos. */
#define dhlist_for_each_entry_continue(tpos, pos, member)                                          \
	for (pos = (pos)->next;                                                                    \
	     pos != NULL && (tpos = d_hlist_entry(pos, __typeof__(*tpos), member), 1);             \
	     pos = pos->next)

/** Starts at pos itself. */
#define dhlist_for_each_entry_from(tpos, pos, member)                                              \
	for (; pos != NULL && (tpos = d_hlist_entry(pos, __typeof__(*tpos), member), 1);           \
	     pos = pos->next)

#if defined(__cplusplus)
}
#endif

#endif /* GURT_LIST_H */
