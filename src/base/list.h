/* Intrusive circular doubly linked list. A head and an unlinked entry point to themselves. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next;
	struct list *prev;
};

#define LIST_INIT(name)                                                                            \
	{                                                                                          \
		&(name), &(name)                                                                   \
	}

#ifndef container_of
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#endif

static inline void
list_init(struct list *l)
{
	l->next = l;
	l->prev = l;
}

static inline bool
list_empty(const struct list *l)
{
	return l->next == l;
}

/*
 * Entries on the stack of a coroutine that waits are ordinary here; gcc takes them for a mistake,
 * since it cannot see that somebody else unlinks them before the function returns.
 */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdangling-pointer"
#endif
static inline void
list_insert_between(struct list *e, struct list *prev, struct list *next)
{
	next->prev = e;
	e->next = next;
	e->prev = prev;
	prev->next = e;
}
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#pragma GCC diagnostic pop
#endif

/* Put e first / last in head's list. */
static inline void
list_push_front(struct list *head, struct list *e)
{
	list_insert_between(e, head, head->next);
}

static inline void
list_push_back(struct list *head, struct list *e)
{
	list_insert_between(e, head->prev, head);
}

/* Unlink e and leave it pointing to itself; harmless when it is not linked. */
static inline void
list_del(struct list *e)
{
	e->next->prev = e->prev;
	e->prev->next = e->next;
	list_init(e);
}

/* Move every entry of from to the end of to; from becomes empty. */
static inline void
list_splice_back(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_first(head, type, member)                                                             \
	(list_empty(head) ? NULL : list_entry((head)->next, type, member))
#define list_for_each(pos, head) for (pos = (head)->next; pos != (head); pos = pos->next)
#define list_for_each_safe(pos, tmp, head)                                                         \
	for (pos = (head)->next, tmp = pos->next; pos != (head); pos = tmp, tmp = pos->next)

#endif
