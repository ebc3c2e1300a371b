/*
 * Updates: bringing their data to the device.
 *
 * In general the data are durable before the transaction that names them is begun. A small update
 * spends most of its time waiting for the two synchronous writes, of the data and of the log, one
 * after the other; it does both at the same time instead: its log record carries checksums of the
 * blocks, the record counts only when both are durable, and recovery looks at the blocks of the
 * last records (heap_tx_dep). The price: if the data cannot be written the whole pool fails, for
 * what was committed behind it may build on it. So it is not done where a write may fail for lack
 * of space below; nor for large data, whose checksums would cost more than the wait.
 */
#define LOG_FACILITY "vos"
#include "store/vos/vos_update.h"

#include "base/crc.h"

enum {
	WRITERS_MAX = 64,       /* pieces of one update written at the same time */
	OVERLAP_MAX = 64 << 10, /* bytes of an update written beside its log record */
};

/* --- before the transaction ------------------------------------------------------------------ */

static int co_fn
view_write(void *arg)
{
	struct update_view *v = arg;

	if (v->own == NULL)
		return data_view_write(&v->view);
	return data_write(v->up->cont->pool->data, v->ext.blk,
			  &(struct iovec){v->own, (size_t)v->ext.blk_nr * SPACE_BLOCK}, 1);
}

/* All pieces at once. */
static int co_fn
write_data(struct vos_update *up)
{
	struct co_group group;
	uint32_t i;
	int rc = 0, rc2;

	if (up->view_nr == 0)
		return 0;
	if (up->view_nr == 1)
		return view_write(&up->views[0]);
	/* by rounds: those of a round become adjacent device writes */
	for (i = 0; rc == 0 && i < up->view_nr;) {
		co_group_init(&group);
		do
			rc = co_group_spawn(&group, view_write, &up->views[i++]);
		while (rc == 0 && i < up->view_nr && i % WRITERS_MAX != 0);
		rc2 = co_group_join(&group);
		if (rc == 0)
			rc = rc2;
	}
	return rc;
}

int co_fn
vos_update_write(struct vos_update *up)
{
	int rc = 0;

	if (!up->written)
		rc = vos_update_sums_fill(up);
	if (rc == 0 && !up->written)
		rc = write_data(up);
	up->written = rc == 0;
	return rc;
}

/* --- beside the transaction ------------------------------------------------------------------ */

bool
vos_update_overlaps(const struct vos_update *up)
{
	return up->cont->pool->overlap && !up->written && up->view_nr > 0 &&
	       up->nvme_bytes <= OVERLAP_MAX;
}

static uint32_t
view_crc(const struct data_view *view)
{
	uint32_t i, crc = 0;

	for (i = 0; i < view->iov_nr; i++)
		crc = crc32c(crc, view->iov[i].iov_base, view->iov[i].iov_len);
	return crc;
}

/* All writes have ended and the transaction is committed: it is as durable as its record. */
static void
settle_if_both(struct vos_update *up)
{
	if (up->writes_left > 0 || up->dep_lsn == 0)
		return;
	heap_dep_done(up->cont->pool->heap, up->dep_lsn, up->write_rc);
	up->dep_lsn = 0;
}

static void
view_written(struct data_write *w, int rc)
{
	struct vos_update *up = container_of(w, struct update_view, write)->up;

	if (rc != 0)
		up->write_rc = rc;
	if (--up->writes_left > 0)
		return;
	settle_if_both(up);
	co_future_complete(&up->writes_done, 0);
}

/* The index names the blocks from here on: whoever reads them must find what is being written. */
static void
committed(struct heap_tx_hook *hook, bool ok, uint64_t lsn)
{
	struct vos_update *up = container_of(hook, struct vos_update, hook);
	uint32_t i;

	if (!ok)
		return;
	up->dep_lsn = lsn;
	for (i = 0; i < up->view_nr; i++)
		if (up->views[i].depended && up->write_rc == 0)
			data_view_show(&up->views[i].view);
}

int
vos_update_depend(struct vos_tx *t, struct vos_update *up)
{
	struct update_view *v = up->views;
	uint32_t i, e, dep_nr = 0;
	int rc = 0;

	for (i = 0; rc == 0 && i < up->piece_nr; i++) {
		const struct vos_piece *piece = &up->pieces[i];

		for (e = 0; rc == 0 && e < piece->ext_nr; e++, v++) {
			/* what nobody will see is not entered, its blocks go back */
			v->depended = piece->published;
			if (!v->depended)
				continue;
			rc = heap_tx_dep(t->tx, &(struct heap_dep){.blk = v->ext.blk,
								   .blk_nr = v->ext.blk_nr,
								   .crc = v->crc});
			dep_nr++;
		}
	}
	if (rc == 0 && dep_nr > 0) {
		up->hook.fn = committed;
		heap_tx_hook_add(t->tx, &up->hook);
	}
	return rc;
}

int co_fn
vos_update_commit_overlapped(struct vos_update *up, struct vos_tx_args *args)
{
	struct heap *heap = up->cont->pool->heap;
	uint32_t i;
	int rc;

	rc = vos_update_sums_fill(up);
	if (rc != 0)
		return rc;
	up->overlapped = true;
	up->writes_left = up->view_nr;
	up->write_rc = 0;
	up->dep_lsn = 0;
	co_future_init(&up->writes_done);
	for (i = 0; i < up->view_nr; i++) {
		struct update_view *v = &up->views[i];

		v->crc = view_crc(&v->view);
		v->write.done = view_written;
		data_view_write_start(&v->view, &v->write);
	}
	args->wait = false;
	rc = vos_tx_run(args);
	if (rc == 0) {
		settle_if_both(up);
		rc = heap_wait_durable(heap, args->lsn);
	}
	if (up->writes_left > 0) /* refused, or the log failed: the memory is still needed */
		co_future_wait(&up->writes_done, 0);
	return rc == 0 && up->write_rc != 0 ? up->write_rc : rc;
}
