/*
 * Metrics: reading the tree of another process.
 */
#ifndef GURT_TELEMETRY_CONSUMER_H
#define GURT_TELEMETRY_CONSUMER_H

#include <gurt/telemetry_common.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

/** Open the tree of server id; NULL if there is none to open. Trees are not shared yet: NULL. */
struct d_tm_context *d_tm_open(int id);
void d_tm_close(struct d_tm_context **ctx);

/** Forget mappings that are not used any more. */
void d_tm_gc_ctx(struct d_tm_context *ctx);

/** Address in this process of a pointer found in a node; NULL if it leads nowhere. */
void *d_tm_conv_ptr(struct d_tm_context *ctx, struct d_tm_node_t *node, void *ptr);

char *d_tm_get_name(struct d_tm_context *ctx, struct d_tm_node_t *node);

/** Values. -DER_INVAL, -DER_OP_NOT_PERMITTED for another type, -DER_METRIC_NOT_FOUND. */
int d_tm_get_counter(struct d_tm_context *ctx, uint64_t *val, struct d_tm_node_t *node);
int d_tm_get_timestamp(struct d_tm_context *ctx, time_t *val, struct d_tm_node_t *node);
int d_tm_get_timer_snapshot(struct d_tm_context *ctx, struct timespec *tms,
			    struct d_tm_node_t *node);
int d_tm_get_gauge(struct d_tm_context *ctx, uint64_t *val, struct d_tm_stats_t *stats,
		   struct d_tm_node_t *node);
int d_tm_get_duration(struct d_tm_context *ctx, struct timespec *tms, struct d_tm_stats_t *stats,
		      struct d_tm_node_t *node);

/** Description and unit, for the caller to free; either may be NULL. */
int d_tm_get_metadata(struct d_tm_context *ctx, char **desc, char **units,
		      struct d_tm_node_t *node);
int d_tm_get_num_buckets(struct d_tm_context *ctx, struct d_tm_histogram_t *histogram,
			 struct d_tm_node_t *node);
int d_tm_get_bucket_range(struct d_tm_context *ctx, struct d_tm_bucket_t *bucket, int bucket_id,
			  struct d_tm_node_t *node);

/** Walking. */
struct d_tm_node_t *d_tm_get_root(struct d_tm_context *ctx);
struct d_tm_node_t *d_tm_get_child(struct d_tm_context *ctx, struct d_tm_node_t *node);
struct d_tm_node_t *d_tm_get_sibling(struct d_tm_context *ctx, struct d_tm_node_t *node);
struct d_tm_node_t *d_tm_find_metric(struct d_tm_context *ctx, char *path);
uint64_t d_tm_count_metrics(struct d_tm_context *ctx, struct d_tm_node_t *node, int d_tm_type);

/** All nodes of a type below node; freed by d_tm_list_free(). */
int d_tm_list(struct d_tm_context *ctx, struct d_tm_nodeList_t **head, struct d_tm_node_t *node,
	      int d_tm_type);
int d_tm_list_subdirs(struct d_tm_context *ctx, struct d_tm_nodeList_t **head,
		      struct d_tm_node_t *node, uint64_t *node_count, int max_depth);

typedef void (*d_tm_iter_cb_t)(struct d_tm_context *ctx, struct d_tm_node_t *node, int level,
			       char *path, int format, int opt_fields, void *cb_arg);

/** Call iter_cb for node and all below whose type is in filter. */
void d_tm_iterate(struct d_tm_context *ctx, struct d_tm_node_t *node, int level, int filter,
		  char *path, int format, int opt_fields, d_tm_iter_cb_t iter_cb, void *cb_arg);

/** Printing. */
void d_tm_print_node(struct d_tm_context *ctx, struct d_tm_node_t *node, int level, char *name,
		     int format, int opt_fields, FILE *stream);
void d_tm_reset_node(struct d_tm_context *ctx, struct d_tm_node_t *node, int level, char *path,
		     int format, int opt_fields, FILE *stream);
void d_tm_print_field_descriptors(int opt_fields, FILE *stream);
void d_tm_print_counter(uint64_t val, char *name, int format, char *units, int opt_fields,
			FILE *stream);
void d_tm_print_timestamp(time_t *clk, char *name, int format, int opt_fields, FILE *stream);
void d_tm_print_timer_snapshot(struct timespec *tms, char *name, int tm_type, int format,
			       int opt_fields, FILE *stream);
void d_tm_print_duration(struct timespec *tms, struct d_tm_stats_t *stats, char *name, int tm_type,
			 int format, int opt_fields, FILE *stream);
void d_tm_print_gauge(uint64_t val, struct d_tm_stats_t *stats, char *name, int format, char *units,
		      int opt_fields, FILE *stream);
void d_tm_print_metadata(char *desc, char *units, int format, FILE *stream);

/** Clock of a D_TM_CLOCK_* type, and its name. */
int d_tm_clock_id(int clk_id);
char *d_tm_clock_string(int clk_id);

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* GURT_TELEMETRY_CONSUMER_H */
