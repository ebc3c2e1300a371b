/*
 * Metrics: making a tree of one's own. Not installed.
 */
#ifndef GURT_TELEMETRY_PRODUCER_H
#define GURT_TELEMETRY_PRODUCER_H

#include <sys/types.h>
#include <gurt/telemetry_common.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

/** Start a tree in mem_size bytes of shared memory. Trees are not shared yet: -DER_NOSYS. */
int d_tm_init(int id, uint64_t mem_size, int flags);
int d_tm_init_with_name(int id, uint64_t mem_size, int flags, const char *root_name);
void d_tm_fini(void);

/** Add a node under a printf-style path. */
int d_tm_add_metric(struct d_tm_node_t **node, int metric_type, char *desc, char *units,
		    const char *fmt, ...);
int d_tm_init_histogram(struct d_tm_node_t *node, char *path, int num_buckets, int initial_width,
			int multiplier, const char *unit);

/** Directories with memory of their own, which can be removed again. */
int d_tm_add_ephemeral_dir(struct d_tm_node_t **node, size_t size_bytes, const char *fmt, ...);
int d_tm_attach_path_segment(key_t key, const char *fmt, ...);
int d_tm_del_ephemeral_dir(const char *fmt, ...);
int d_tm_try_del_ephemeral_dir(const char *fmt, ...);

/** Change a metric; NULL is ignored, so that code need not care whether there is a tree. */
void d_tm_set_counter(struct d_tm_node_t *metric, uint64_t value);
void d_tm_inc_counter(struct d_tm_node_t *metric, uint64_t value);
void d_tm_record_timestamp(struct d_tm_node_t *metric);
void d_tm_record_meminfo(struct d_tm_node_t *metric);
void d_tm_take_timer_snapshot(struct d_tm_node_t *metric, int clk_id);
void d_tm_mark_duration_start(struct d_tm_node_t *metric, int clk_id);
void d_tm_mark_duration_end(struct d_tm_node_t *metric);
void d_tm_set_gauge(struct d_tm_node_t *metric, uint64_t value);
void d_tm_inc_gauge(struct d_tm_node_t *metric, uint64_t value);
void d_tm_dec_gauge(struct d_tm_node_t *metric, uint64_t value);

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* GURT_TELEMETRY_PRODUCER_H */
