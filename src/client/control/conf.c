/*
 * YAML configuration (see conf.h).
 *
 * libcyaml reports an error as a short message followed by a backtrace of where in the file it was,
 * innermost first; both arrive through its log callback. The first message and the first place are
 * what a person needs, so those are kept and put in one line.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <daos_errno.h>

#include "client/control/conf.h"

enum { HOSTS_MAX = 4096 };

struct load_log {
	char message[256];
	char key[96];
	long line;
};

static void
load_log_fn(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
	struct load_log *log = ctx;
	char text[256];
	const char *at;
	const char *key;

	if (level < CYAML_LOG_ERROR)
		return;
	vsnprintf(text, sizeof(text), fmt, args);
	text[strcspn(text, "\n")] = '\0';
	at = strstr(text, "(line: ");
	if (at == NULL) {
		const char *p = strncmp(text, "Load: ", 6) == 0 ? text + 6 : text;

		/* "Backtrace:" announces the places; the first message before it says what is wrong
		 */
		if (log->message[0] == '\0' && strstr(text, "Backtrace") == NULL)
			snprintf(log->message, sizeof(log->message), "%s", p);
		else if (log->line == 0 && (at = strstr(text, "line ")) != NULL)
			log->line = strtol(at + 5, NULL, 10);
		return;
	}
	if (log->line == 0)
		log->line = strtol(at + 7, NULL, 10);
	key = strstr(text, "field '");
	if (log->key[0] == '\0' && key != NULL) {
		key += 7;
		snprintf(log->key, sizeof(log->key), "%.*s", (int)strcspn(key, "'"), key);
	}
}

/* libcyaml gives the line where the mapping starts; the key itself is on a later one: the first
 * that begins with it. */
static long
key_line(const char *path, const char *key, long from)
{
	FILE *f = fopen(path, "r");
	char text[1024];
	size_t len = strlen(key);
	long line = 0;
	long found = from;

	while (f != NULL && fgets(text, sizeof(text), f) != NULL) {
		const char *p = text + strspn(text, " \t-'\"");

		if (++line >= from && strncmp(p, key, len) == 0 &&
		    strchr(" \t:'\"", p[len]) != NULL) {
			found = line;
			break;
		}
	}
	if (f != NULL)
		fclose(f);
	return found;
}

static void
load_error(const char *path, cyaml_err_t ce, const struct load_log *log, char err[CONF_ERR_LEN])
{
	char where[64] = "";
	char key[128] = "";
	const char *unexpected = strstr(log->message, "Unexpected key: ");

	if (unexpected != NULL) {
		unexpected += strlen("Unexpected key: ");
		snprintf(err, CONF_ERR_LEN, "%s: line %ld: unknown key '%s'", path,
			 key_line(path, unexpected, log->line), unexpected);
		return;
	}
	if (log->line > 0)
		snprintf(where, sizeof(where), " line %ld:", log->line);
	if (log->key[0] != '\0')
		snprintf(key, sizeof(key), " key '%s':", log->key);
	snprintf(err, CONF_ERR_LEN, "%s:%s%s %s", path, where, key,
		 log->message[0] != '\0' ? log->message : cyaml_strerror(ce));
}

int
conf_load(const char *path, const cyaml_schema_value_t *schema, void **ret_data,
	  char err[CONF_ERR_LEN])
{
	struct load_log log = {0};
	cyaml_config_t config = {
	    .log_fn = load_log_fn,
	    .log_ctx = &log,
	    .mem_fn = cyaml_mem,
	    .log_level = CYAML_LOG_ERROR,
	    .flags = CYAML_CFG_NO_ALIAS,
	};
	cyaml_data_t *data = NULL;
	cyaml_err_t ce;

	if (access(path, R_OK) != 0) {
		int rc = errno == EACCES ? -DER_NO_PERM : -DER_NONEXIST;

		snprintf(err, CONF_ERR_LEN, "%s: %s", path, strerror(errno));
		return rc;
	}
	ce = cyaml_load_file(path, &config, schema, &data, NULL);
	if (ce != CYAML_OK) {
		load_error(path, ce, &log, err);
		return -DER_INVAL;
	}
	if (data == NULL) {
		snprintf(err, CONF_ERR_LEN, "%s: the file is empty", path);
		return -DER_INVAL;
	}
	*ret_data = data;
	return 0;
}

void
conf_free(const cyaml_schema_value_t *schema, void *data)
{
	cyaml_config_t config = {.mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR};

	if (data != NULL)
		cyaml_free(&config, schema, data, 0);
}

const cyaml_schema_value_t conf_string_value = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED),
};

const cyaml_strval_t conf_bool_words[CONF_BOOL_WORD_NR] = {
    {"false", CONF_FALSE}, {"true", CONF_TRUE}, {"no", CONF_FALSE},
    {"yes", CONF_TRUE},    {"off", CONF_FALSE}, {"on", CONF_TRUE},
};

const cyaml_schema_field_t conf_transport_fields[] = {
    CONF_FIELD_BOOL("allow_insecure", struct conf_transport, allow_insecure),
    CYAML_FIELD_STRING_PTR("ca_cert", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			   struct conf_transport, ca_cert, 0, CYAML_UNLIMITED),
    CYAML_FIELD_STRING_PTR("cert", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct conf_transport,
			   cert, 0, CYAML_UNLIMITED),
    CYAML_FIELD_STRING_PTR("key", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct conf_transport,
			   key, 0, CYAML_UNLIMITED),
    CYAML_FIELD_STRING_PTR("client_cert_dir", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			   struct conf_transport, client_cert_dir, 0, CYAML_UNLIMITED),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t control_fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct conf_control,
			   name, 0, CYAML_UNLIMITED),
    CYAML_FIELD_UINT_PTR("port", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct conf_control,
			 port),
    CYAML_FIELD_SEQUENCE("hostlist", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct conf_control,
			 hostlist, &conf_string_value, 0, HOSTS_MAX),
    CYAML_FIELD_MAPPING_PTR("transport_config", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			    struct conf_control, transport_config, conf_transport_fields),
    CYAML_FIELD_END,
};
const cyaml_schema_value_t conf_control_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct conf_control, control_fields),
};

int
conf_transport_check(const char *path, const struct conf_transport *t, char err[CONF_ERR_LEN])
{
	if (t != NULL && t->allow_insecure == CONF_TRUE)
		return 0;
	snprintf(err, CONF_ERR_LEN,
		 "%s: key 'transport_config': certificates are not supported yet; set "
		 "'allow_insecure: true' to run without them on a trusted network",
		 path);
	return -DER_NOSYS;
}

bool
conf_system_name_ok(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= CONF_SYSTEM_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		   len;
}

/* --- host lists ------------------------------------------------------------------------------ */

struct hosts {
	char **v;
	uint32_t nr;
};

static int
hosts_add(struct hosts *h, const char *prefix, size_t prefix_len, const char *number,
	  const char *suffix, size_t suffix_len)
{
	char **more;

	if (h->nr == HOSTS_MAX || prefix_len + suffix_len + strlen(number) == 0)
		return -DER_INVAL;
	more = realloc(h->v, (h->nr + 1) * sizeof(*more));
	if (more == NULL)
		return -DER_NOMEM;
	h->v = more;
	if (asprintf(&h->v[h->nr], "%.*s%s%.*s", (int)prefix_len, prefix, number, (int)suffix_len,
		     suffix) < 0)
		return -DER_NOMEM;
	h->nr++;
	return 0;
}

/* prefix[1-3,7]suffix; leading zeros of the first number give the width. */
static int
hosts_add_range(struct hosts *h, const char *item, size_t len, const char *open)
{
	const char *close = memchr(open, ']', item + len - open);
	const char *p = open + 1;
	int rc = 0;

	if (close == NULL || memchr(close + 1, '[', item + len - close - 1) != NULL)
		return -DER_INVAL;
	while (rc == 0 && p <= close) {
		char *end;
		char number[32];
		unsigned long a, b;
		int digits;

		if (!isdigit((unsigned char)*p))
			return -DER_INVAL;
		a = strtoul(p, &end, 10);
		digits = end - p;
		b = a;
		if (*end == '-') {
			p = end + 1;
			if (!isdigit((unsigned char)*p))
				return -DER_INVAL;
			b = strtoul(p, &end, 10);
		}
		if ((*end != ',' && end != close) || b < a || b - a >= HOSTS_MAX || digits > 9)
			return -DER_INVAL;
		for (; rc == 0 && a <= b; a++) {
			snprintf(number, sizeof(number), "%0*lu", digits, a);
			rc = hosts_add(h, item, open - item, number, close + 1,
				       item + len - close - 1);
		}
		p = end + 1;
	}
	return rc;
}

int
conf_hosts_expand(const char *list, char ***ret_hosts, uint32_t *ret_nr)
{
	struct hosts h = {0};
	const char *p = list;
	int rc = 0;

	while (rc == 0) {
		const char *open = NULL;
		size_t len = 0;
		int depth = 0;

		for (; p[len] != '\0' && (p[len] != ',' || depth > 0); len++) {
			if (p[len] == '[' && open == NULL)
				open = p + len;
			depth += (p[len] == '[') - (p[len] == ']');
		}
		if (open != NULL)
			rc = hosts_add_range(&h, p, len, open);
		else
			rc = hosts_add(&h, p, len, "", "", 0);
		if (p[len] == '\0')
			break;
		p += len + 1;
	}
	if (rc != 0) {
		conf_hosts_free(h.v, h.nr);
		return rc;
	}
	*ret_hosts = h.v;
	*ret_nr = h.nr;
	return 0;
}

void
conf_hosts_free(char **hosts, uint32_t nr)
{
	uint32_t i;

	for (i = 0; i < nr; i++)
		free(hosts[i]);
	free(hosts);
}
