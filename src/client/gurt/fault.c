/*
 * Fault injection points.
 *
 * A point is a row in a growing table, found by id. Rows never move or disappear before fini, so
 * that callers may keep pointers to them. A point asked by several threads is under its own lock,
 * and draws from its own random sequence: the outcome depends only on the seed and on the order in
 * which the point is asked.
 *
 * D_FI_CONFIG names a YAML file:
 *
 *	seed: 42
 *	fault_config:
 *	- id: 0
 *	  probability_x: 1
 *	  probability_y: 100
 *	  interval: 5
 *	  max_faults: 10
 *	  err_code: -1009
 *	  argument: text
 */
#include <yaml.h>

#include <gurt/common.h>
#include <gurt/atomic.h>

/* Ids are sparse numbers of the caller's. */
#define POINTS_MAX 1024

/* Variables of the interface. */
unsigned int d_fault_inject;
unsigned int d_fault_config_file;
struct d_fault_attr_t *d_fault_attr_mem;

static struct {
	pthread_rwlock_t lock; /* of the table, not of its rows */
	struct d_fault_attr_t *points[POINTS_MAX];
	int nr;
	int init_nr;
	uint32_t seed;
} fi = {.lock = PTHREAD_RWLOCK_INITIALIZER};

/* Whether threads inject, unless they said otherwise. */
static ATOMIC bool thread_dflt = true;
static __thread enum { THREAD_DFLT, THREAD_ON, THREAD_OFF } thread_mode;

static struct d_fault_attr_t *
point_find_locked(uint32_t id)
{
	int i;

	for (i = 0; i < fi.nr; i++)
		if (fi.points[i]->fa_id == id)
			return fi.points[i];
	return NULL;
}

/* The row of an id, made if needed. With the table's lock held for writing. */
static struct d_fault_attr_t *
point_get_locked(uint32_t id)
{
	struct d_fault_attr_t *point = point_find_locked(id);

	if (point != NULL || fi.nr == POINTS_MAX)
		return point;
	point = calloc(1, sizeof(*point));
	if (point == NULL)
		return NULL;
	if (pthread_spin_init(&point->fa_lock, PTHREAD_PROCESS_PRIVATE) != 0) {
		free(point);
		return NULL;
	}
	point->fa_id = id;
	fi.points[fi.nr++] = point;
	if (id == 0)
		d_fault_attr_mem = point;
	return point;
}

int
d_fault_attr_set(uint32_t fault_id, struct d_fault_attr_t fa_in)
{
	struct d_fault_attr_t *point;
	char *argument = NULL;
	char *old_argument;

	if (fa_in.fa_argument != NULL) {
		argument = strdup(fa_in.fa_argument);
		if (argument == NULL)
			return -DER_NOMEM;
	}
	pthread_rwlock_wrlock(&fi.lock);
	point = point_get_locked(fault_id);
	if (point == NULL) {
		pthread_rwlock_unlock(&fi.lock);
		free(argument);
		return -DER_NOMEM;
	}
	pthread_spin_lock(&point->fa_lock);
	point->fa_interval = fa_in.fa_interval;
	point->fa_max_faults = fa_in.fa_max_faults;
	point->fa_err_code = fa_in.fa_err_code;
	point->fa_probability_x = fa_in.fa_probability_x;
	point->fa_probability_y = fa_in.fa_probability_y;
	point->fa_num_faults = 0;
	point->fa_num_hits = 0;
	old_argument = point->fa_argument;
	point->fa_argument = argument;
	point->fa_rand_state[0] = 0x330e;
	point->fa_rand_state[1] = (unsigned short)(fi.seed + fault_id);
	point->fa_rand_state[2] = (unsigned short)((fi.seed + fault_id) >> 16);
	pthread_spin_unlock(&point->fa_lock);
	pthread_rwlock_unlock(&fi.lock);
	free(old_argument);
	return 0;
}

struct d_fault_attr_t *
d_fault_attr_lookup(uint32_t fault_id)
{
	struct d_fault_attr_t *point;

	pthread_rwlock_rdlock(&fi.lock);
	point = point_find_locked(fault_id);
	pthread_rwlock_unlock(&fi.lock);
	return point;
}

int
d_fault_attr_err_code(uint32_t fault_id)
{
	struct d_fault_attr_t *point = d_fault_attr_lookup(fault_id);

	return point != NULL ? point->fa_err_code : 0;
}

/* Hit number and chance decide; with the point's lock held. */
static bool
point_fires_locked(struct d_fault_attr_t *point)
{
	uint32_t x = point->fa_probability_x;
	uint32_t y = point->fa_probability_y;

	point->fa_num_hits++;
	if (x == 0 || y == 0)
		return false;
	if (point->fa_max_faults != 0 && point->fa_num_faults >= point->fa_max_faults)
		return false;
	if (point->fa_interval > 1 && point->fa_num_hits % point->fa_interval != 0)
		return false;
	if (x < y && erand48(point->fa_rand_state) * y >= x)
		return false;
	point->fa_num_faults++;
	return true;
}

bool
d_should_fail(struct d_fault_attr_t *fault_attr_ptr)
{
	bool fires;

	if (fault_attr_ptr == NULL || d_fault_inject == 0 || thread_mode == THREAD_OFF)
		return false;
	if (thread_mode == THREAD_DFLT && !atomic_load_relaxed(&thread_dflt))
		return false;
	pthread_spin_lock(&fault_attr_ptr->fa_lock);
	fires = point_fires_locked(fault_attr_ptr);
	pthread_spin_unlock(&fault_attr_ptr->fa_lock);
	return fires;
}

/* ---- Configuration file ---- */

/* A whole number of a scalar node, with a sign. */
static int
node_number(const yaml_node_t *node, int64_t *ret_num)
{
	const char *text = (const char *)node->data.scalar.value;
	char *end;

	if (node->type != YAML_SCALAR_NODE || text[0] == '\0')
		return -DER_INVAL;
	errno = 0;
	*ret_num = strtoll(text, &end, 0);
	return errno == 0 && *end == '\0' ? 0 : -DER_INVAL;
}

/* One entry of fault_config. */
static int
point_parse(yaml_document_t *doc, const yaml_node_t *map, const char *file)
{
	struct d_fault_attr_t attr = {.fa_probability_x = 1, .fa_probability_y = 1};
	yaml_node_pair_t *pair;
	bool has_id = false;

	if (map->type != YAML_MAPPING_NODE)
		return -DER_INVAL;
	for (pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top; pair++) {
		yaml_node_t *key = yaml_document_get_node(doc, pair->key);
		yaml_node_t *val = yaml_document_get_node(doc, pair->value);
		const char *name = (const char *)key->data.scalar.value;
		int64_t num = 0;

		if (key->type != YAML_SCALAR_NODE || val->type != YAML_SCALAR_NODE)
			return -DER_INVAL;
		if (strcmp(name, "argument") == 0) {
			attr.fa_argument = (char *)val->data.scalar.value;
			continue;
		}
		if (node_number(val, &num) != 0) {
			D_PRINT_ERR("%s:%zu: %s is not a number\n", file, key->start_mark.line + 1,
				    name);
			return -DER_INVAL;
		}
		if (strcmp(name, "id") == 0) {
			attr.fa_id = (uint32_t)num;
			has_id = true;
		} else if (strcmp(name, "probability_x") == 0) {
			attr.fa_probability_x = (uint32_t)num;
		} else if (strcmp(name, "probability_y") == 0) {
			attr.fa_probability_y = (uint32_t)num;
		} else if (strcmp(name, "interval") == 0) {
			attr.fa_interval = (uint32_t)num;
		} else if (strcmp(name, "max_faults") == 0) {
			attr.fa_max_faults = (uint64_t)num;
		} else if (strcmp(name, "err_code") == 0) {
			attr.fa_err_code = (int32_t)num;
		} else {
			D_PRINT_ERR("%s:%zu: unknown key %s\n", file, key->start_mark.line + 1,
				    name);
			return -DER_INVAL;
		}
	}
	return has_id ? d_fault_attr_set(attr.fa_id, attr) : -DER_INVAL;
}

static int
document_parse(yaml_document_t *doc, const char *file)
{
	yaml_node_t *root = yaml_document_get_root_node(doc);
	yaml_node_pair_t *pair;
	yaml_node_item_t *item;
	int64_t num;
	int pass;
	int rc;

	if (root == NULL || root->type != YAML_MAPPING_NODE)
		return -DER_INVAL;
	/* The seed first, wherever it stands. */
	for (pass = 0; pass < 2; pass++)
		for (pair = root->data.mapping.pairs.start; pair < root->data.mapping.pairs.top;
		     pair++) {
			yaml_node_t *key = yaml_document_get_node(doc, pair->key);
			yaml_node_t *val = yaml_document_get_node(doc, pair->value);
			const char *name = (const char *)key->data.scalar.value;

			if (key->type != YAML_SCALAR_NODE)
				return -DER_INVAL;
			if (pass == 0 && strcmp(name, "seed") == 0) {
				rc = node_number(val, &num);
				if (rc != 0)
					return rc;
				fi.seed = (uint32_t)num;
			}
			if (pass == 0 || strcmp(name, "fault_config") != 0)
				continue;
			if (val->type != YAML_SEQUENCE_NODE)
				return -DER_INVAL;
			for (item = val->data.sequence.items.start;
			     item < val->data.sequence.items.top; item++) {
				rc = point_parse(doc, yaml_document_get_node(doc, *item), file);
				if (rc != 0)
					return rc;
			}
		}
	return 0;
}

static int
config_load(const char *file)
{
	yaml_parser_t parser;
	yaml_document_t doc;
	FILE *stream;
	int rc;

	stream = fopen(file, "re");
	if (stream == NULL) {
		rc = d_errno2der(errno);
		D_PRINT_ERR("cannot open %s: %s\n", file, strerror(errno));
		return rc;
	}
	if (!yaml_parser_initialize(&parser)) {
		fclose(stream);
		return -DER_NOMEM;
	}
	yaml_parser_set_input_file(&parser, stream);
	if (!yaml_parser_load(&parser, &doc)) {
		D_PRINT_ERR("%s:%zu: %s\n", file, parser.problem_mark.line + 1,
			    parser.problem != NULL ? parser.problem : "not YAML");
		rc = -DER_INVAL;
	} else {
		rc = document_parse(&doc, file);
		yaml_document_delete(&doc);
	}
	yaml_parser_delete(&parser);
	fclose(stream);
	return rc;
}

int
d_fault_inject_init(void)
{
	char *file;
	int rc = 0;

	pthread_rwlock_wrlock(&fi.lock);
	if (fi.init_nr++ > 0) {
		pthread_rwlock_unlock(&fi.lock);
		return 0;
	}
	pthread_rwlock_unlock(&fi.lock);
	if (d_agetenv_str(&file, D_FAULT_CONFIG_ENV) != 0)
		return 0;
	if (file[0] != '\0') {
		rc = config_load(file);
		if (rc == 0) {
			d_fault_config_file = 1;
			d_fault_inject = 1;
		}
	}
	d_freeenv_str(&file);
	return rc;
}

int
d_fault_inject_fini(void)
{
	int i;

	pthread_rwlock_wrlock(&fi.lock);
	if (fi.init_nr == 0 || --fi.init_nr > 0) {
		pthread_rwlock_unlock(&fi.lock);
		return 0;
	}
	d_fault_inject = 0;
	d_fault_config_file = 0;
	d_fault_attr_mem = NULL;
	for (i = 0; i < fi.nr; i++) {
		pthread_spin_destroy(&fi.points[i]->fa_lock);
		free(fi.points[i]->fa_argument);
		free(fi.points[i]);
	}
	fi.nr = 0;
	fi.seed = 0;
	pthread_rwlock_unlock(&fi.lock);
	return 0;
}

int
d_fault_inject_enable(void)
{
	d_fault_inject = 1;
	return 0;
}

int
d_fault_inject_disable(void)
{
	d_fault_inject = 0;
	return 0;
}

bool
d_fault_inject_is_enabled(void)
{
	return d_fault_inject != 0;
}

void
d_fault_inject_thread_enable(bool enabled)
{
	thread_mode = enabled ? THREAD_ON : THREAD_OFF;
}

void
d_fault_inject_thread_default_enable(bool enabled)
{
	atomic_store_relaxed(&thread_dflt, enabled);
}
