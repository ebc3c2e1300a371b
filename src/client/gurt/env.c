/*
 * The environment. The C library's functions may not run beside one that changes it; all of ours
 * take one lock, and readers get copies.
 */
#include <ctype.h>
#include <strings.h>

#include <gurt/common.h>

static pthread_rwlock_t env_lock = PTHREAD_RWLOCK_INITIALIZER;

bool
d_isenv_def(char *name)
{
	bool def;

	pthread_rwlock_rdlock(&env_lock);
	def = getenv(name) != NULL;
	pthread_rwlock_unlock(&env_lock);
	return def;
}

int
d_getenv_str(char *str_val, size_t str_size, const char *name)
{
	const char *val;
	int rc = -DER_NONEXIST;

	pthread_rwlock_rdlock(&env_lock);
	val = getenv(name);
	if (val != NULL)
		rc = snprintf(str_val, str_size, "%s", val);
	pthread_rwlock_unlock(&env_lock);
	return rc;
}

int
d_agetenv_str(char **str_val, const char *name)
{
	const char *val;
	int rc = -DER_NONEXIST;

	*str_val = NULL;
	pthread_rwlock_rdlock(&env_lock);
	val = getenv(name);
	if (val != NULL) {
		*str_val = d_strndup(val, strlen(val));
		rc = *str_val == NULL ? -DER_NOMEM : 0;
	}
	pthread_rwlock_unlock(&env_lock);
	return rc;
}

void
d_freeenv_str(char **str_val)
{
	d_free(*str_val);
	*str_val = NULL;
}

int
d_getenv_bool(const char *name, bool *bool_val)
{
	static const struct {
		const char *text;
		bool val;
	} words[] = {{"0", false}, {"n", false}, {"no", false}, {"false", false}, {"off", false},
		     {"1", true},  {"y", true},  {"yes", true}, {"true", true},   {"on", true}};
	char *val;
	size_t i;
	int rc;

	rc = d_agetenv_str(&val, name);
	if (rc != 0)
		return rc;
	rc = -DER_INVAL;
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcasecmp(val, words[i].text) != 0)
			continue;
		*bool_val = words[i].val;
		rc = 0;
		break;
	}
	d_freeenv_str(&val);
	return rc;
}

int
d_getenv_char(const char *name, char *char_val)
{
	char *val;
	int rc;

	rc = d_agetenv_str(&val, name);
	if (rc != 0)
		return rc;
	if (strlen(val) == 1)
		*char_val = val[0];
	else
		rc = -DER_INVAL;
	d_freeenv_str(&val);
	return rc;
}

/* A whole number up to max, decimal, or with 0x in front hexadecimal. */
static int
env_ull(const char *name, unsigned long long max, unsigned long long *ret_val)
{
	unsigned long long num;
	const char *p;
	char *end;
	char *val;
	int rc;

	rc = d_agetenv_str(&val, name);
	if (rc != 0)
		return rc;
	for (p = val; isspace((unsigned char)*p); p++)
		;
	errno = 0;
	num = strtoull(p, &end, 0);
	while (isspace((unsigned char)*end))
		end++;
	/* strtoull() takes a minus sign and wraps. */
	if (!isdigit((unsigned char)*p) || *end != '\0' || errno != 0 || num > max)
		rc = -DER_INVAL;
	else
		*ret_val = num;
	d_freeenv_str(&val);
	return rc;
}

int
d_getenv_uint(const char *name, unsigned int *uint_val)
{
	unsigned long long num;
	int rc = env_ull(name, UINT_MAX, &num);

	if (rc == 0)
		*uint_val = (unsigned int)num;
	return rc;
}

int
d_getenv_int(const char *name, unsigned int *uint_val)
{
	return d_getenv_uint(name, uint_val);
}

int
d_getenv_uint32_t(const char *name, uint32_t *uint32_val)
{
	unsigned long long num;
	int rc = env_ull(name, UINT32_MAX, &num);

	if (rc == 0)
		*uint32_val = (uint32_t)num;
	return rc;
}

int
d_getenv_uint64_t(const char *name, uint64_t *uint64_val)
{
	unsigned long long num;
	int rc = env_ull(name, UINT64_MAX, &num);

	if (rc == 0)
		*uint64_val = num;
	return rc;
}

int
d_putenv(char *name)
{
	int rc;

	pthread_rwlock_wrlock(&env_lock);
	rc = putenv(name);
	pthread_rwlock_unlock(&env_lock);
	return rc;
}

int
d_setenv(const char *name, const char *value, int overwrite)
{
	int rc;

	pthread_rwlock_wrlock(&env_lock);
	rc = setenv(name, value, overwrite);
	pthread_rwlock_unlock(&env_lock);
	return rc;
}

int
d_unsetenv(const char *name)
{
	int rc;

	pthread_rwlock_wrlock(&env_lock);
	rc = unsetenv(name);
	pthread_rwlock_unlock(&env_lock);
	return rc;
}

int
d_clearenv(void)
{
	int rc;

	pthread_rwlock_wrlock(&env_lock);
	rc = clearenv();
	pthread_rwlock_unlock(&env_lock);
	return rc;
}
