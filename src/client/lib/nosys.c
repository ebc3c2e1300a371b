/*
 * Functions of the interface that are not there yet. Each says so: -DER_NOSYS, from the call or
 * through its event, and touches nothing.
 */
#include <daos.h>
#include <daos_pipeline.h>

#include "client/event/event.h"

/* --- transactions --- */

int
daos_tx_open(daos_handle_t coh, daos_handle_t *th, uint64_t flags, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_tx_commit(daos_handle_t th, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_tx_open_snap(daos_handle_t coh, daos_epoch_t epoch, daos_handle_t *th, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_tx_abort(daos_handle_t th, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_tx_close(daos_handle_t th, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_tx_restart(daos_handle_t th, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_tx_hdl2epoch(daos_handle_t th, daos_epoch_t *epoch)
{
	return -DER_NOSYS;
}

/* --- snapshots and history --- */

int
daos_cont_aggregate(daos_handle_t coh, daos_epoch_t epoch, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_cont_rollback(daos_handle_t coh, daos_epoch_t epoch, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_cont_subscribe(daos_handle_t coh, daos_epoch_t *epoch, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_cont_create_snap(daos_handle_t coh, daos_epoch_t *epoch, char *name, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_cont_create_snap_opt(daos_handle_t coh, daos_epoch_t *epoch, char *name,
			  enum daos_snapshot_opts opts, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_cont_list_snap(daos_handle_t coh, int *nr, daos_epoch_t *epochs, char **names,
		    daos_anchor_t *anchor, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_cont_destroy_snap(daos_handle_t coh, daos_epoch_range_t epr, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_cont_snap_oit_create(daos_handle_t coh, daos_epoch_t epoch, char *name, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_cont_snap_oit_destroy(daos_handle_t coh, daos_handle_t oh, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_oit_open(daos_handle_t coh, daos_epoch_t epoch, daos_handle_t *oh, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_oit_close(daos_handle_t oh, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_oit_list(daos_handle_t oh, daos_obj_id_t *oids, uint32_t *oids_nr, daos_anchor_t *anchor,
	      daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_oit_mark(daos_handle_t oh, daos_obj_id_t oid, d_iov_t *marker, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_oit_list_unmarked(daos_handle_t oh, daos_obj_id_t *oids, uint32_t *oids_nr,
		       daos_anchor_t *anchor, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_oit_list_filter(daos_handle_t oh, daos_obj_id_t *oids, uint32_t *oids_nr,
		     daos_anchor_t *anchor, daos_oit_filter_cb filter, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

/* --- objects --- */

int
daos_obj_query(daos_handle_t oh, struct daos_obj_attr *oa, d_rank_list_t *ranks, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_obj_verify(daos_handle_t coh, daos_obj_id_t oid, daos_epoch_t epoch)
{
	return -DER_NOSYS;
}

int
daos_obj_key2anchor(daos_handle_t oh, daos_handle_t th, daos_key_t *dkey, daos_key_t *akey,
		    daos_anchor_t *anchor, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

/* --- pipelines --- */

void
daos_pipeline_init(daos_pipeline_t *pipeline)
{
	if (pipeline != NULL)
		*pipeline = (daos_pipeline_t){.version = 1};
}

void
daos_filter_init(daos_filter_t *filter)
{
	if (filter != NULL)
		*filter = (daos_filter_t){0};
}

int
daos_pipeline_add(daos_pipeline_t *pipeline, daos_filter_t *filter)
{
	return -DER_NOSYS;
}

int
daos_filter_add(daos_filter_t *filter, daos_filter_part_t *part)
{
	return -DER_NOSYS;
}

int
daos_pipeline_check(daos_pipeline_t *pipeline)
{
	return -DER_NOSYS;
}

int
daos_pipeline_free(daos_pipeline_t *pipeline)
{
	return 0; /* nothing was ever added */
}

int
daos_pipeline_run(daos_handle_t coh, daos_handle_t oh, daos_pipeline_t *pipeline, daos_handle_t th,
		  uint64_t flags, daos_key_t *dkey, uint32_t *nr_iods, daos_iod_t *iods,
		  daos_anchor_t *anchor, uint32_t *nr_kds, daos_key_desc_t *kds,
		  d_sg_list_t *sgl_keys, d_sg_list_t *sgl_recx, daos_size_t *recx_size,
		  d_sg_list_t *sgl_agg, daos_pipeline_stats_t *stats, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

/* --- diagnostics --- */

int
daos_pool_stop_svc(daos_handle_t poh, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_debug_set_params(const char *grp, d_rank_t rank, unsigned int key_id, uint64_t value,
		      uint64_t value_extra, daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_debug_add_mark(const char *mark)
{
	return -DER_NOSYS;
}

int
daos_mgmt_get_bs_state(const char *group, uuid_t blobstore_uuid, int *blobstore_state,
		       daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
dc_mgmt_srv_version(uint32_t *major, uint32_t *minor, uint32_t *patch, char **tag)
{
	return -DER_NOSYS;
}
