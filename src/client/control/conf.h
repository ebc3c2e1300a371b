/*
 * Configuration files: YAML read by schema (libcyaml), with errors that name the file, the line and
 * the key.
 *
 * Also what the three files (daos_server.yml, daos_agent.yml, daos_control.yml) have in common.
 */
#ifndef CLIENT_CONTROL_CONF_H
#define CLIENT_CONTROL_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cyaml/cyaml.h>

enum {
	CONF_ERR_LEN = 512,
	CONF_PORT_DEFAULT = 10001,
	CONF_SYSTEM_NAME_MAX = 15,
};
#define CONF_SYSTEM_NAME_DEFAULT "daos_server"
#define CONF_DIR_DEFAULT         "/etc/daos"

/*
 * Read a file. On success *ret_data is the loaded structure, to be freed with conf_free(). On
 * failure: -DER_NONEXIST (no such file), -DER_NO_PERM, -DER_INVAL, and err holds one line: "path:
 * line 7: unknown key 'prot'".
 */
int conf_load(const char *path, const cyaml_schema_value_t *schema, void **ret_data,
	      char err[CONF_ERR_LEN]);
void conf_free(const cyaml_schema_value_t *schema, void *data);

/* Yes or no, strictly: libcyaml's own booleans take any word for true. A key that is absent is
 * CONF_UNSET. */
enum conf_bool { CONF_UNSET = 0, CONF_FALSE = 1, CONF_TRUE = 2 };
enum { CONF_BOOL_WORD_NR = 6 };
extern const cyaml_strval_t conf_bool_words[CONF_BOOL_WORD_NR];
#define CONF_FIELD_BOOL(_key, _struct, _member)                                                    \
	CYAML_FIELD_ENUM(_key, CYAML_FLAG_STRICT | CYAML_FLAG_OPTIONAL, _struct, _member,          \
			 conf_bool_words, CONF_BOOL_WORD_NR)

/* transport_config */
struct conf_transport {
	enum conf_bool allow_insecure;
	char *ca_cert;
	char *cert;
	char *key;
	char *client_cert_dir;
};
extern const cyaml_schema_field_t conf_transport_fields[];

/* daos_control.yml */
struct conf_control {
	char *name;
	uint32_t *port;
	char **hostlist;
	unsigned hostlist_count;
	struct conf_transport *transport_config;
};
extern const cyaml_schema_value_t conf_control_schema;
extern const cyaml_schema_value_t conf_string_value; /* element of lists of strings */

/* Certificates are not supported yet: anything but allow_insecure: true is refused, and says so. */
int conf_transport_check(const char *path, const struct conf_transport *t, char err[CONF_ERR_LEN]);
/* System names: 1 to 15 letters, digits, '.', '_', '-'. */
bool conf_system_name_ok(const char *name);

/* "node[1-3,7],other:10002" -> one host per entry, malloced array and strings; -DER_INVAL, at most
 * 4096 hosts. */
int conf_hosts_expand(const char *list, char ***ret_hosts, uint32_t *ret_nr);
void conf_hosts_free(char **hosts, uint32_t nr);

#endif
