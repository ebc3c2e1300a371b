/*
 * Pipelines: filters and aggregations that run where the data is.
 *
 * A pipeline is a list of filters, and'ed, and a list of aggregation filters. A filter is a tree of
 * parts in prefix order: functions, and as their operands the dkey, an akey's value or constants.
 */
#ifndef DAOS_PIPELINE_H
#define DAOS_PIPELINE_H

#include <stdint.h>
#include <daos_types.h>
#include <daos_obj.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

typedef struct {
	d_iov_t part_type;     /* a name such as "DAOS_FILTER_FUNC_EQ" */
	d_iov_t data_type;     /* a name such as "DAOS_FILTER_TYPE_UINTEGER8" */
	uint32_t num_operands; /* of a function */
	daos_key_t akey;
	size_t num_constants;
	d_iov_t *constant;
	size_t data_offset; /* bytes into the value */
	size_t data_len;
} daos_filter_part_t;

typedef struct {
	d_iov_t filter_type; /* "DAOS_FILTER_CONDITION" or "DAOS_FILTER_AGGREGATION" */
	uint32_t num_parts;
	daos_filter_part_t **parts;
} daos_filter_t;

typedef struct {
	uint64_t version;
	uint32_t num_filters;
	daos_filter_t **filters;
	uint32_t num_aggr_filters;
	daos_filter_t **aggr_filters;
} daos_pipeline_t;

/** What a run looked at. */
typedef struct {
	uint64_t nr_objs;
	uint64_t nr_dkeys;
	uint64_t nr_akeys;
} daos_pipeline_stats_t;

void daos_pipeline_init(daos_pipeline_t *pipeline);
void daos_filter_init(daos_filter_t *filter);

/** The pointers are kept; what they point to stays the caller's until daos_pipeline_free(). */
int daos_pipeline_add(daos_pipeline_t *pipeline, daos_filter_t *filter);
int daos_filter_add(daos_filter_t *filter, daos_filter_part_t *part);

/** Is it well formed? 0 or -DER_INVAL, -DER_NOSYS. */
int daos_pipeline_check(daos_pipeline_t *pipeline);

/** Release the arrays of pointers. */
int daos_pipeline_free(daos_pipeline_t *pipeline);

/**
 * Run over an object's dkeys, or one of them (dkey). Results: matching keys in kds and sgl_keys,
 * the akeys asked for in iods in sgl_recx and recx_size, aggregates in sgl_agg.
 */
int daos_pipeline_run(daos_handle_t coh, daos_handle_t oh, daos_pipeline_t *pipeline,
		      daos_handle_t th, uint64_t flags, daos_key_t *dkey, uint32_t *nr_iods,
		      daos_iod_t *iods, daos_anchor_t *anchor, uint32_t *nr_kds,
		      daos_key_desc_t *kds, d_sg_list_t *sgl_keys, d_sg_list_t *sgl_recx,
		      daos_size_t *recx_size, d_sg_list_t *sgl_agg, daos_pipeline_stats_t *stats,
		      daos_event_t *ev);

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* DAOS_PIPELINE_H */
