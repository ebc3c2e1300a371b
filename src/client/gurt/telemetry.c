/*
 * Metrics, as far as they work without a tree that is shared between processes.
 *
 * Values, statistics, histograms and printing work on nodes wherever they came from. Trees cannot
 * be made or opened yet: those calls give -DER_NOSYS or NULL, and as a metric that was not added is
 * NULL, and NULL is ignored, instrumented programs run unchanged.
 */
#include <malloc.h>
#include <math.h>

#include <gurt/telemetry_common.h>
#include <gurt/telemetry_consumer.h>
#include <gurt/telemetry_producer.h>

#define CLOCK_TYPES (D_TM_CLOCK_REALTIME | D_TM_CLOCK_PROCESS_CPUTIME | D_TM_CLOCK_THREAD_CPUTIME)

/* Client keys are above those of servers. */
#define CLIENT_KEY_BASE 0x1000

/* ---- Trees: not available ---- */

int
d_tm_init(int id, uint64_t mem_size, int flags)
{
	return -DER_NOSYS;
}

int
d_tm_init_with_name(int id, uint64_t mem_size, int flags, const char *root_name)
{
	return -DER_NOSYS;
}

void
d_tm_fini(void)
{
}

int
d_tm_add_metric(struct d_tm_node_t **node, int metric_type, char *desc, char *units,
		const char *fmt, ...)
{
	if (node == NULL || fmt == NULL)
		return -DER_INVAL;
	*node = NULL;
	return -DER_NOSYS;
}

int
d_tm_init_histogram(struct d_tm_node_t *node, char *path, int num_buckets, int initial_width,
		    int multiplier, const char *unit)
{
	return -DER_NOSYS;
}

int
d_tm_add_ephemeral_dir(struct d_tm_node_t **node, size_t size_bytes, const char *fmt, ...)
{
	if (node != NULL)
		*node = NULL;
	return -DER_NOSYS;
}

int
d_tm_attach_path_segment(key_t key, const char *fmt, ...)
{
	return -DER_NOSYS;
}

int
d_tm_del_ephemeral_dir(const char *fmt, ...)
{
	return -DER_NOSYS;
}

int
d_tm_try_del_ephemeral_dir(const char *fmt, ...)
{
	return -DER_NOSYS;
}

struct d_tm_context *
d_tm_open(int id)
{
	return NULL;
}

void
d_tm_close(struct d_tm_context **ctx)
{
	if (ctx != NULL)
		*ctx = NULL;
}

void
d_tm_gc_ctx(struct d_tm_context *ctx)
{
}

void *
d_tm_conv_ptr(struct d_tm_context *ctx, struct d_tm_node_t *node, void *ptr)
{
	/* Nodes are in this process only. */
	return ptr;
}

struct d_tm_node_t *
d_tm_follow_link(struct d_tm_context *ctx, struct d_tm_node_t *link)
{
	if (link == NULL || link->dtn_type != D_TM_LINK)
		return link;
	return NULL;
}

struct d_tm_node_t *
d_tm_get_root(struct d_tm_context *ctx)
{
	return NULL;
}

struct d_tm_node_t *
d_tm_find_metric(struct d_tm_context *ctx, char *path)
{
	return NULL;
}

/* ---- Keys and clocks ---- */

key_t
d_tm_get_srv_key(int srv_idx)
{
	return D_TM_SHARED_MEMORY_KEY + srv_idx;
}

key_t
d_tm_cli_pid_key(int pid)
{
	return D_TM_SHARED_MEMORY_KEY + CLIENT_KEY_BASE + pid;
}

int
d_tm_get_version(void)
{
	return D_TM_VERSION;
}

int
d_tm_clock_id(int clk_id)
{
	if (clk_id & D_TM_CLOCK_PROCESS_CPUTIME)
		return CLOCK_PROCESS_CPUTIME_ID;
	if (clk_id & D_TM_CLOCK_THREAD_CPUTIME)
		return CLOCK_THREAD_CPUTIME_ID;
	return CLOCK_REALTIME;
}

char *
d_tm_clock_string(int clk_id)
{
	static char names[][sizeof(D_TM_CLOCK_PROCESS_CPUTIME_STR)] = {
	    D_TM_CLOCK_REALTIME_STR,
	    D_TM_CLOCK_PROCESS_CPUTIME_STR,
	    D_TM_CLOCK_THREAD_CPUTIME_STR,
	};

	if (clk_id & D_TM_CLOCK_PROCESS_CPUTIME)
		return names[1];
	if (clk_id & D_TM_CLOCK_THREAD_CPUTIME)
		return names[2];
	return names[0];
}

/* ---- Changing a metric ---- */

static void
node_lock(struct d_tm_node_t *node)
{
	if (node->dtn_protect)
		D_MUTEX_LOCK(&node->dtn_lock);
}

static void
node_unlock(struct d_tm_node_t *node)
{
	if (node->dtn_protect)
		D_MUTEX_UNLOCK(&node->dtn_lock);
}

/* A metric whose type is among these; NULL is not. */
static bool
node_is(const struct d_tm_node_t *node, int types)
{
	return node != NULL && node->dtn_metric != NULL && (node->dtn_type & types) != 0;
}

static uint64_t
now_ns(int clk_id)
{
	struct timespec now;

	clock_gettime(d_tm_clock_id(clk_id), &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

double
d_tm_compute_standard_dev(double sum_of_squares, uint64_t sample_size, double mean)
{
	double variance;

	if (sample_size < 2)
		return 0;
	variance = (sum_of_squares - (double)sample_size * mean * mean) / (double)(sample_size - 1);
	/* Rounding can take it below zero when all samples are equal. */
	return variance > 0 ? sqrt(variance) : 0;
}

void
d_tm_compute_stats(struct d_tm_node_t *node, uint64_t value)
{
	struct d_tm_stats_t *stats;

	if (node == NULL || node->dtn_metric == NULL || node->dtn_metric->dtm_stats == NULL)
		return;
	stats = node->dtn_metric->dtm_stats;
	if (stats->sample_size == 0 || value < stats->dtm_min)
		stats->dtm_min = value;
	if (value > stats->dtm_max)
		stats->dtm_max = value;
	stats->sample_size++;
	stats->dtm_sum += value;
	stats->sum_of_squares += (double)value * (double)value;
	stats->mean = (double)stats->dtm_sum / (double)stats->sample_size;
	stats->std_dev =
	    d_tm_compute_standard_dev(stats->sum_of_squares, stats->sample_size, stats->mean);
}

void
d_tm_compute_histogram(struct d_tm_node_t *node, uint64_t value)
{
	struct d_tm_histogram_t *hist;
	int i;

	if (node == NULL || node->dtn_metric == NULL || node->dtn_metric->dtm_histogram == NULL)
		return;
	hist = node->dtn_metric->dtm_histogram;
	for (i = 0; i < hist->dth_num_buckets; i++)
		if (value >= hist->dth_buckets[i].dtb_min &&
		    value <= hist->dth_buckets[i].dtb_max) {
			d_tm_inc_counter(hist->dth_buckets[i].dtb_bucket, 1);
			return;
		}
}

void
d_tm_set_counter(struct d_tm_node_t *metric, uint64_t value)
{
	if (!node_is(metric, D_TM_COUNTER))
		return;
	node_lock(metric);
	metric->dtn_metric->dtm_data.value = value;
	node_unlock(metric);
}

void
d_tm_inc_counter(struct d_tm_node_t *metric, uint64_t value)
{
	if (!node_is(metric, D_TM_COUNTER))
		return;
	node_lock(metric);
	metric->dtn_metric->dtm_data.value += value;
	node_unlock(metric);
}

void
d_tm_record_timestamp(struct d_tm_node_t *metric)
{
	if (!node_is(metric, D_TM_TIMESTAMP))
		return;
	node_lock(metric);
	metric->dtn_metric->dtm_data.value = (uint64_t)time(NULL);
	node_unlock(metric);
}

void
d_tm_record_meminfo(struct d_tm_node_t *metric)
{
	struct mallinfo2 info;

	if (!node_is(metric, D_TM_MEMINFO))
		return;
	info = mallinfo2();
	node_lock(metric);
	metric->dtn_metric->dtm_data.meminfo = (struct d_tm_meminfo_t){
	    .arena = info.arena,
	    .ordblks = info.ordblks,
	    .uordblks = info.uordblks,
	    .fordblks = info.fordblks,
	};
	node_unlock(metric);
}

void
d_tm_take_timer_snapshot(struct d_tm_node_t *metric, int clk_id)
{
	if (!node_is(metric, D_TM_TIMER_SNAPSHOT))
		return;
	node_lock(metric);
	clock_gettime(d_tm_clock_id(clk_id), &metric->dtn_metric->dtm_data.tms[0]);
	node_unlock(metric);
}

/* tms[1] is the start of an interval under way, tms[0] the last one's length. */
void
d_tm_mark_duration_start(struct d_tm_node_t *metric, int clk_id)
{
	if (!node_is(metric, D_TM_DURATION))
		return;
	node_lock(metric);
	metric->dtn_type = (metric->dtn_type & ~CLOCK_TYPES) | (clk_id & CLOCK_TYPES);
	clock_gettime(d_tm_clock_id(clk_id), &metric->dtn_metric->dtm_data.tms[1]);
	node_unlock(metric);
}

void
d_tm_mark_duration_end(struct d_tm_node_t *metric)
{
	struct timespec *tms;
	uint64_t length_ns;

	if (!node_is(metric, D_TM_DURATION))
		return;
	node_lock(metric);
	tms = metric->dtn_metric->dtm_data.tms;
	if (!d_timenull(&tms[1])) {
		length_ns = now_ns(metric->dtn_type) -
			    ((uint64_t)tms[1].tv_sec * NSEC_PER_SEC + (uint64_t)tms[1].tv_nsec);
		tms[0].tv_sec = (time_t)(length_ns / NSEC_PER_SEC);
		tms[0].tv_nsec = (long)(length_ns % NSEC_PER_SEC);
		memset(&tms[1], 0, sizeof(tms[1]));
		d_tm_compute_stats(metric, length_ns / NSEC_PER_USEC);
		d_tm_compute_histogram(metric, length_ns / NSEC_PER_USEC);
	}
	node_unlock(metric);
}

static void
gauge_change(struct d_tm_node_t *metric, bool relative, uint64_t value)
{
	uint64_t *val;

	if (!node_is(metric, D_TM_GAUGE | D_TM_STATS_GAUGE))
		return;
	node_lock(metric);
	val = &metric->dtn_metric->dtm_data.value;
	*val = relative ? *val + value : value;
	d_tm_compute_stats(metric, *val);
	d_tm_compute_histogram(metric, *val);
	node_unlock(metric);
}

void
d_tm_set_gauge(struct d_tm_node_t *metric, uint64_t value)
{
	gauge_change(metric, false, value);
}

void
d_tm_inc_gauge(struct d_tm_node_t *metric, uint64_t value)
{
	gauge_change(metric, true, value);
}

void
d_tm_dec_gauge(struct d_tm_node_t *metric, uint64_t value)
{
	gauge_change(metric, true, 0 - value);
}

/* ---- Reading a metric ---- */

static int
get_check(const struct d_tm_node_t *node, const void *out, int types)
{
	if (node == NULL || out == NULL)
		return -DER_INVAL;
	if ((node->dtn_type & types) == 0)
		return -DER_OP_NOT_PERMITTED;
	return node->dtn_metric == NULL ? -DER_METRIC_NOT_FOUND : 0;
}

static void
stats_get(struct d_tm_stats_t *stats, const struct d_tm_node_t *node)
{
	if (stats != NULL && node->dtn_metric->dtm_stats != NULL)
		*stats = *node->dtn_metric->dtm_stats;
}

int
d_tm_get_counter(struct d_tm_context *ctx, uint64_t *val, struct d_tm_node_t *node)
{
	int rc = get_check(node, val, D_TM_COUNTER);

	if (rc == 0)
		*val = node->dtn_metric->dtm_data.value;
	return rc;
}

int
d_tm_get_timestamp(struct d_tm_context *ctx, time_t *val, struct d_tm_node_t *node)
{
	int rc = get_check(node, val, D_TM_TIMESTAMP);

	if (rc == 0)
		*val = (time_t)node->dtn_metric->dtm_data.value;
	return rc;
}

int
d_tm_get_timer_snapshot(struct d_tm_context *ctx, struct timespec *tms, struct d_tm_node_t *node)
{
	int rc = get_check(node, tms, D_TM_TIMER_SNAPSHOT);

	if (rc == 0)
		*tms = node->dtn_metric->dtm_data.tms[0];
	return rc;
}

int
d_tm_get_gauge(struct d_tm_context *ctx, uint64_t *val, struct d_tm_stats_t *stats,
	       struct d_tm_node_t *node)
{
	int rc = get_check(node, val, D_TM_GAUGE | D_TM_STATS_GAUGE);

	if (rc != 0)
		return rc;
	node_lock(node);
	*val = node->dtn_metric->dtm_data.value;
	stats_get(stats, node);
	node_unlock(node);
	return 0;
}

int
d_tm_get_duration(struct d_tm_context *ctx, struct timespec *tms, struct d_tm_stats_t *stats,
		  struct d_tm_node_t *node)
{
	int rc = get_check(node, tms, D_TM_DURATION);

	if (rc != 0)
		return rc;
	node_lock(node);
	*tms = node->dtn_metric->dtm_data.tms[0];
	stats_get(stats, node);
	node_unlock(node);
	return 0;
}

static char *
text_dup(const char *text, size_t max)
{
	return d_strndup(text != NULL ? text : "", max);
}

int
d_tm_get_metadata(struct d_tm_context *ctx, char **desc, char **units, struct d_tm_node_t *node)
{
	char *d = NULL;
	char *u = NULL;

	if (node == NULL || (desc == NULL && units == NULL))
		return -DER_INVAL;
	if (node->dtn_metric == NULL)
		return -DER_METRIC_NOT_FOUND;
	if (desc != NULL)
		d = text_dup(node->dtn_metric->dtm_desc, D_TM_MAX_DESC_LEN);
	if (units != NULL)
		u = text_dup(node->dtn_metric->dtm_units, D_TM_MAX_UNIT_LEN);
	if ((desc != NULL && d == NULL) || (units != NULL && u == NULL)) {
		d_free(d);
		d_free(u);
		return -DER_NOMEM;
	}
	if (desc != NULL)
		*desc = d;
	if (units != NULL)
		*units = u;
	return 0;
}

int
d_tm_get_num_buckets(struct d_tm_context *ctx, struct d_tm_histogram_t *histogram,
		     struct d_tm_node_t *node)
{
	if (node == NULL || histogram == NULL)
		return -DER_INVAL;
	if (node->dtn_metric == NULL || node->dtn_metric->dtm_histogram == NULL)
		return -DER_METRIC_NOT_FOUND;
	*histogram = *node->dtn_metric->dtm_histogram;
	return 0;
}

int
d_tm_get_bucket_range(struct d_tm_context *ctx, struct d_tm_bucket_t *bucket, int bucket_id,
		      struct d_tm_node_t *node)
{
	struct d_tm_histogram_t hist;
	int rc;

	if (bucket == NULL)
		return -DER_INVAL;
	rc = d_tm_get_num_buckets(ctx, &hist, node);
	if (rc != 0)
		return rc;
	if (bucket_id < 0 || bucket_id >= hist.dth_num_buckets)
		return -DER_INVAL;
	*bucket = hist.dth_buckets[bucket_id];
	return 0;
}

/* ---- Walking ---- */

char *
d_tm_get_name(struct d_tm_context *ctx, struct d_tm_node_t *node)
{
	return node != NULL ? node->dtn_name : NULL;
}

struct d_tm_node_t *
d_tm_get_child(struct d_tm_context *ctx, struct d_tm_node_t *node)
{
	return node != NULL ? node->dtn_child : NULL;
}

struct d_tm_node_t *
d_tm_get_sibling(struct d_tm_context *ctx, struct d_tm_node_t *node)
{
	return node != NULL ? node->dtn_sibling : NULL;
}

uint64_t
d_tm_count_metrics(struct d_tm_context *ctx, struct d_tm_node_t *node, int d_tm_type)
{
	struct d_tm_node_t *child;
	uint64_t nr = 0;

	if (node == NULL)
		return 0;
	nr = (node->dtn_type & d_tm_type) != 0;
	for (child = node->dtn_child; child != NULL; child = child->dtn_sibling)
		nr += d_tm_count_metrics(ctx, child, d_tm_type);
	return nr;
}

int
d_tm_list_add_node(struct d_tm_node_t *src, struct d_tm_nodeList_t **nodelist)
{
	struct d_tm_nodeList_t **tail = nodelist;
	struct d_tm_nodeList_t *entry;

	if (nodelist == NULL)
		return -DER_INVAL;
	entry = d_calloc(1, sizeof(*entry));
	if (entry == NULL)
		return -DER_NOMEM;
	entry->dtnl_node = src;
	while (*tail != NULL)
		tail = &(*tail)->dtnl_next;
	*tail = entry;
	return 0;
}

void
d_tm_list_free(struct d_tm_nodeList_t *nodeList)
{
	while (nodeList != NULL) {
		struct d_tm_nodeList_t *next = nodeList->dtnl_next;

		d_free(nodeList);
		nodeList = next;
	}
}

int
d_tm_list(struct d_tm_context *ctx, struct d_tm_nodeList_t **head, struct d_tm_node_t *node,
	  int d_tm_type)
{
	struct d_tm_node_t *child;
	int rc = 0;

	if (head == NULL || node == NULL)
		return -DER_INVAL;
	if (node->dtn_type & d_tm_type)
		rc = d_tm_list_add_node(node, head);
	for (child = node->dtn_child; child != NULL && rc == 0; child = child->dtn_sibling)
		rc = d_tm_list(ctx, head, child, d_tm_type);
	return rc;
}

int
d_tm_list_subdirs(struct d_tm_context *ctx, struct d_tm_nodeList_t **head, struct d_tm_node_t *node,
		  uint64_t *node_count, int max_depth)
{
	struct d_tm_node_t *child;
	int rc = 0;

	if (head == NULL || node == NULL || node_count == NULL)
		return -DER_INVAL;
	if (node->dtn_type != D_TM_DIRECTORY || max_depth < 0)
		return 0;
	rc = d_tm_list_add_node(node, head);
	if (rc == 0)
		(*node_count)++;
	for (child = node->dtn_child; child != NULL && rc == 0; child = child->dtn_sibling)
		rc = d_tm_list_subdirs(ctx, head, child, node_count, max_depth - 1);
	return rc;
}

void
d_tm_iterate(struct d_tm_context *ctx, struct d_tm_node_t *node, int level, int filter, char *path,
	     int format, int opt_fields, d_tm_iter_cb_t iter_cb, void *cb_arg)
{
	struct d_tm_node_t *child;
	char *below;

	if (node == NULL || iter_cb == NULL)
		return;
	if (node->dtn_type & filter)
		iter_cb(ctx, node, level, path, format, opt_fields, cb_arg);
	if (node->dtn_child == NULL)
		return;
	if (path == NULL || path[0] == '\0')
		D_ASPRINTF(below, "%s", node->dtn_name);
	else
		D_ASPRINTF(below, "%s/%s", path, node->dtn_name);
	if (below == NULL)
		return;
	for (child = node->dtn_child; child != NULL; child = child->dtn_sibling)
		d_tm_iterate(ctx, child, level + 1, filter, below, format, opt_fields, iter_cb,
			     cb_arg);
	d_free(below);
}

/* ---- Printing: "name: value unit[, statistics]", or comma-separated fields ---- */

static void
name_print(const char *name, const char *type, int format, int opt_fields, FILE *stream)
{
	if (name == NULL)
		name = "(none)";
	if (format == D_TM_CSV && (opt_fields & D_TM_INCLUDE_TYPE))
		fprintf(stream, "%s,%s,", name, type);
	else if (format == D_TM_CSV)
		fprintf(stream, "%s,", name);
	else if (opt_fields & D_TM_INCLUDE_TYPE)
		fprintf(stream, "type: %s, %s: ", type, name);
	else
		fprintf(stream, "%s: ", name);
}

void
d_tm_print_stats(FILE *stream, struct d_tm_stats_t *stats, int format)
{
	const char *fmt = ", min: %" PRIu64 ", max: %" PRIu64 ", mean: %lf, sample size: %" PRIu64;

	if (stream == NULL || stats == NULL)
		return;
	if (format == D_TM_CSV)
		fmt = ",%" PRIu64 ",%" PRIu64 ",%lf,%" PRIu64;
	else if (stats->sample_size == 0)
		return;
	fprintf(stream, fmt, stats->dtm_min, stats->dtm_max, stats->mean, stats->sample_size);
	if (format == D_TM_CSV)
		fprintf(stream, ",%lf", stats->std_dev);
	else if (stats->sample_size > 2)
		fprintf(stream, ", std dev: %lf", stats->std_dev);
}

void
d_tm_print_field_descriptors(int opt_fields, FILE *stream)
{
	if (stream == NULL)
		return;
	fprintf(stream, "%sname,%svalue,min,max,mean,sample_size,std_dev%s\n",
		opt_fields & D_TM_INCLUDE_TIMESTAMP ? "timestamp," : "",
		opt_fields & D_TM_INCLUDE_TYPE ? "type," : "",
		opt_fields & D_TM_INCLUDE_METADATA ? ",description,units" : "");
}

void
d_tm_print_counter(uint64_t val, char *name, int format, char *units, int opt_fields, FILE *stream)
{
	if (stream == NULL)
		return;
	name_print(name, "counter", format, opt_fields, stream);
	fprintf(stream, "%" PRIu64, val);
	if (format != D_TM_CSV && units != NULL)
		fprintf(stream, " %s", units);
}

void
d_tm_print_timestamp(time_t *clk, char *name, int format, int opt_fields, FILE *stream)
{
	char text[D_TM_TIME_BUFF_LEN];

	if (stream == NULL || clk == NULL || ctime_r(clk, text) == NULL)
		return;
	text[strcspn(text, "\n")] = '\0';
	name_print(name, "timestamp", format, opt_fields, stream);
	fprintf(stream, "%s", text);
}

static void
time_print(const struct timespec *tms, const char *name, const char *type, int tm_type, int format,
	   int opt_fields, FILE *stream)
{
	name_print(name, type, format, opt_fields, stream);
	fprintf(stream, "%" PRIu64 "%s", (uint64_t)(d_time2us(*tms) + 0.5),
		format == D_TM_CSV ? "" : " " D_TM_MICROSECOND);
	if (format != D_TM_CSV && (opt_fields & D_TM_INCLUDE_TYPE))
		fprintf(stream, " (%s)", d_tm_clock_string(tm_type));
}

void
d_tm_print_timer_snapshot(struct timespec *tms, char *name, int tm_type, int format, int opt_fields,
			  FILE *stream)
{
	if (stream != NULL && tms != NULL)
		time_print(tms, name, "snapshot", tm_type, format, opt_fields, stream);
}

void
d_tm_print_duration(struct timespec *tms, struct d_tm_stats_t *stats, char *name, int tm_type,
		    int format, int opt_fields, FILE *stream)
{
	if (stream == NULL || tms == NULL)
		return;
	time_print(tms, name, "duration", tm_type, format, opt_fields, stream);
	d_tm_print_stats(stream, stats, format);
}

void
d_tm_print_gauge(uint64_t val, struct d_tm_stats_t *stats, char *name, int format, char *units,
		 int opt_fields, FILE *stream)
{
	if (stream == NULL)
		return;
	name_print(name, "gauge", format, opt_fields, stream);
	fprintf(stream, "%" PRIu64, val);
	if (format != D_TM_CSV && units != NULL)
		fprintf(stream, " %s", units);
	d_tm_print_stats(stream, stats, format);
}

void
d_tm_print_metadata(char *desc, char *units, int format, FILE *stream)
{
	if (stream == NULL)
		return;
	fprintf(stream, format == D_TM_CSV ? ",%s,%s" : ", desc: %s, units: %s",
		desc != NULL ? desc : "", units != NULL ? units : "");
}

static void
meminfo_print(const struct d_tm_meminfo_t *info, const char *name, int format, int opt_fields,
	      FILE *stream)
{
	name_print(name, "meminfo", format, opt_fields, stream);
	fprintf(stream,
		format == D_TM_CSV ? "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
				   : "arena: %" PRIu64 ", free chunks: %" PRIu64 ", used: %" PRIu64
				     ", free: %" PRIu64,
		info->arena, info->ordblks, info->uordblks, info->fordblks);
}

void
d_tm_print_node(struct d_tm_context *ctx, struct d_tm_node_t *node, int level, char *name,
		int format, int opt_fields, FILE *stream)
{
	struct d_tm_metric_t *metric;
	char *full;

	if (node == NULL || stream == NULL)
		return;
	if (node->dtn_metric == NULL) {
		if (format != D_TM_CSV)
			fprintf(stream, "%*s%s\n", level * 4, "", node->dtn_name);
		return;
	}
	metric = node->dtn_metric;
	if (name != NULL && name[0] != '\0' && format == D_TM_CSV)
		D_ASPRINTF(full, "%s/%s", name, node->dtn_name);
	else
		D_ASPRINTF(full, "%s", node->dtn_name);
	if (full == NULL)
		return;
	if (format != D_TM_CSV)
		fprintf(stream, "%*s", level * 4, "");
	switch (node->dtn_type & ~CLOCK_TYPES) {
	case D_TM_COUNTER:
		d_tm_print_counter(metric->dtm_data.value, full, format, metric->dtm_units,
				   opt_fields, stream);
		break;
	case D_TM_TIMESTAMP:
		d_tm_print_timestamp(&(time_t){(time_t)metric->dtm_data.value}, full, format,
				     opt_fields, stream);
		break;
	case D_TM_TIMER_SNAPSHOT:
		d_tm_print_timer_snapshot(&metric->dtm_data.tms[0], full, node->dtn_type, format,
					  opt_fields, stream);
		break;
	case D_TM_DURATION:
		d_tm_print_duration(&metric->dtm_data.tms[0], metric->dtm_stats, full,
				    node->dtn_type, format, opt_fields, stream);
		break;
	case D_TM_GAUGE:
	case D_TM_STATS_GAUGE:
		d_tm_print_gauge(metric->dtm_data.value, metric->dtm_stats, full, format,
				 metric->dtm_units, opt_fields, stream);
		break;
	case D_TM_MEMINFO:
		meminfo_print(&metric->dtm_data.meminfo, full, format, opt_fields, stream);
		break;
	default:
		fprintf(stream, "%s: unknown type %#x", full, node->dtn_type);
		break;
	}
	if (opt_fields & D_TM_INCLUDE_METADATA)
		d_tm_print_metadata(metric->dtm_desc, metric->dtm_units, format, stream);
	fprintf(stream, "\n");
	d_free(full);
}

void
d_tm_reset_node(struct d_tm_context *ctx, struct d_tm_node_t *node, int level, char *path,
		int format, int opt_fields, FILE *stream)
{
	if (node == NULL || node->dtn_metric == NULL)
		return;
	node_lock(node);
	memset(&node->dtn_metric->dtm_data, 0, sizeof(node->dtn_metric->dtm_data));
	if (node->dtn_metric->dtm_stats != NULL)
		memset(node->dtn_metric->dtm_stats, 0, sizeof(*node->dtn_metric->dtm_stats));
	node_unlock(node);
}
