/*
 * Small helpers of daos/common.h and daos_api.h, and the set-up of the log facilities.
 */
#define D_LOGFAC DD_FAC(common)
#include <daos/common.h>
#include <daos_api.h>

#define FAC_INSTANTIATE(name, long_name, arg) int daos_##name##_logfac;

DAOS_FOREACH_DB(D_LOG_INSTANTIATE_DB, D_NOOP)
DAOS_FOREACH_LOG_FAC(FAC_INSTANTIATE, D_NOOP)

/* ---- Log ---- */

static pthread_mutex_t debug_lock = PTHREAD_MUTEX_INITIALIZER;
static int debug_init_nr;
static d_log_id_cb_t debug_id_cb;

static int
facs_register(void)
{
	int rc = 0;

#define FAC_REGISTER(name, long_name, arg)                                                         \
	if (rc == 0)                                                                               \
		rc = d_init_log_facility(&daos_##name##_logfac, #name, #long_name);
	DAOS_FOREACH_LOG_FAC(FAC_REGISTER, D_NOOP)
#undef FAC_REGISTER
	if (rc == 0)
		rc = D_LOG_REGISTER_DB(DAOS_FOREACH_DB);
	return rc;
}

int
daos_debug_init_ex(char *logfile, d_dbug_t logmask)
{
	char tag[] = "DAOS";
	char *env_file = NULL;
	int rc = 0;

	pthread_mutex_lock(&debug_lock);
	if (debug_init_nr > 0) {
		debug_init_nr++;
		goto out;
	}
	d_agetenv_str(&env_file, D_LOG_FILE_ENV);
	if (env_file != NULL && env_file[0] != '\0')
		logfile = env_file;
	rc = d_log_init_adv(tag, logfile, DLOG_FLV_LOGPID | DLOG_FLV_FAC | DLOG_FLV_TAG, logmask,
			    DLOG_EMERG, debug_id_cb);
	if (rc != 0)
		goto out;
	rc = facs_register();
	if (rc != 0)
		d_log_fini();
	else
		debug_init_nr = 1;
out:
	pthread_mutex_unlock(&debug_lock);
	d_freeenv_str(&env_file);
	return rc;
}

int
daos_debug_init(char *logfile)
{
	return daos_debug_init_ex(logfile, DLOG_ERR);
}

void
daos_debug_set_id_cb(d_log_id_cb_t id_cb)
{
	debug_id_cb = id_cb;
}

void
daos_debug_fini(void)
{
	pthread_mutex_lock(&debug_lock);
	if (debug_init_nr > 0 && --debug_init_nr == 0)
		d_log_fini();
	pthread_mutex_unlock(&debug_lock);
}

/* ---- Printing ---- */

char *
DP_UUID(const void *uuid)
{
	/* A message may print several: take turns. */
	static __thread char bufs[DF_UUID_MAX][DAOS_UUID_STR_SIZE];
	static __thread int next;
	char *buf = bufs[next];

	next = (next + 1) % DF_UUID_MAX;
	if (uuid == NULL)
		snprintf(buf, DAOS_UUID_STR_SIZE, "?");
	else
		uuid_unparse_lower(uuid, buf);
	return buf;
}

/* ---- Times ---- */

int
daos_hlc2timespec(uint64_t hlc, struct timespec *ts)
{
	return d_hlc2timespec(hlc, ts);
}

int
daos_hlc2timestamp(uint64_t hlc, time_t *ts)
{
	struct timespec tspec;
	int rc;

	if (ts == NULL)
		return -DER_INVAL;
	rc = d_hlc2timespec(hlc, &tspec);
	if (rc == 0)
		*ts = tspec.tv_sec;
	return rc;
}

/* ---- Ranks ---- */

d_rank_list_t *
daos_rank_list_parse(const char *str, const char *sep)
{
	d_rank_list_t *list;
	const char *pos;

	if (str == NULL || sep == NULL || sep[0] == '\0')
		return NULL;
	list = d_rank_list_alloc(0);
	if (list == NULL)
		return NULL;
	for (pos = str; *pos != '\0';) {
		unsigned long rank;
		char *end;

		errno = 0;
		rank = strtoul(pos, &end, 10);
		if (!isdigit((unsigned char)*pos) || errno != 0 || rank > UINT32_MAX ||
		    (*end != '\0' && strchr(sep, *end) == NULL) ||
		    d_rank_list_append(list, (d_rank_t)rank) != 0) {
			d_rank_list_free(list);
			return NULL;
		}
		pos = *end == '\0' ? end : end + 1;
	}
	return list;
}

/* ---- Memory vectors ---- */

int
daos_iov_alloc(d_iov_t *iov, daos_size_t size, bool set_full)
{
	iov->iov_buf = d_calloc(1, size == 0 ? 1 : size);
	if (iov->iov_buf == NULL)
		return -DER_NOMEM;
	iov->iov_buf_len = size;
	iov->iov_len = set_full ? size : 0;
	return 0;
}

int
daos_iov_copy(d_iov_t *dst, d_iov_t *src)
{
	int rc;

	if (src == NULL || src->iov_buf == NULL)
		return 0;
	rc = daos_iov_alloc(dst, src->iov_buf_len, false);
	if (rc != 0)
		return rc;
	memcpy(dst->iov_buf, src->iov_buf, src->iov_len);
	dst->iov_len = src->iov_len;
	return 0;
}

void
daos_iov_free(d_iov_t *iov)
{
	if (iov == NULL)
		return;
	d_free(iov->iov_buf);
	memset(iov, 0, sizeof(*iov));
}

bool
daos_iov_cmp(d_iov_t *iov1, d_iov_t *iov2)
{
	if (iov1->iov_len != iov2->iov_len)
		return false;
	return iov1->iov_len == 0 || memcmp(iov1->iov_buf, iov2->iov_buf, iov1->iov_len) == 0;
}

void
daos_iov_append(d_iov_t *iov, void *buf, uint64_t buf_len)
{
	D_ASSERT(iov->iov_buf_len - iov->iov_len >= buf_len);
	memcpy((char *)iov->iov_buf + iov->iov_len, buf, buf_len);
	iov->iov_len += buf_len;
}

daos_size_t
daos_sgl_data_len(d_sg_list_t *sgl, bool out)
{
	daos_size_t len = 0;
	uint32_t nr;
	uint32_t i;

	if (sgl == NULL || sgl->sg_iovs == NULL)
		return 0;
	nr = out ? sgl->sg_nr_out : sgl->sg_nr;
	for (i = 0; i < nr; i++)
		len += sgl->sg_iovs[i].iov_len;
	return len;
}

daos_size_t
daos_sgl_buf_size(d_sg_list_t *sgl)
{
	return sgl == NULL ? 0 : d_sgl_buf_size(sgl);
}

daos_size_t
daos_sgls_buf_size(d_sg_list_t *sgls, int nr)
{
	daos_size_t size = 0;
	int i;

	for (i = 0; sgls != NULL && i < nr; i++)
		size += daos_sgl_buf_size(&sgls[i]);
	return size;
}

int
daos_sgl_copy_data(d_sg_list_t *dst, d_sg_list_t *src)
{
	uint32_t i;

	if (src->sg_nr > dst->sg_nr)
		return -DER_INVAL;
	for (i = 0; i < src->sg_nr; i++)
		if (src->sg_iovs[i].iov_len > dst->sg_iovs[i].iov_buf_len)
			return -DER_INVAL;
	for (i = 0; i < src->sg_nr; i++) {
		d_iov_t *to = &dst->sg_iovs[i];
		const d_iov_t *from = &src->sg_iovs[i];

		if (from->iov_len > 0)
			memcpy(to->iov_buf, from->iov_buf, from->iov_len);
		to->iov_len = from->iov_len;
	}
	dst->sg_nr_out = src->sg_nr_out;
	return 0;
}

int
daos_sgl_alloc_copy_data(d_sg_list_t *dst, d_sg_list_t *src)
{
	uint32_t i;
	int rc;

	rc = d_sgl_init(dst, src->sg_nr);
	for (i = 0; i < src->sg_nr && rc == 0; i++)
		rc = daos_iov_alloc(&dst->sg_iovs[i], src->sg_iovs[i].iov_buf_len, false);
	if (rc == 0)
		rc = daos_sgl_copy_data(dst, src);
	if (rc != 0)
		d_sgl_fini(dst, true);
	return rc;
}

/* ---- Strings ---- */

char *
daos_str_trimwhite(char *str)
{
	char *end;

	while (isspace((unsigned char)*str))
		str++;
	if (*str == '\0')
		return NULL;
	end = str + strlen(str);
	while (isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
	return str;
}

/* The first spelling of a type is the one that is printed. */
static const struct {
	const char *name;
	daos_cont_layout_t type;
} ctypes[] = {
    {"POSIX", DAOS_PROP_CO_LAYOUT_POSIX},       {"HDF5", DAOS_PROP_CO_LAYOUT_HDF5},
    {"PYTHON", DAOS_PROP_CO_LAYOUT_PYTHON},     {"SPARK", DAOS_PROP_CO_LAYOUT_SPARK},
    {"DATABASE", DAOS_PROP_CO_LAYOUT_DATABASE}, {"DB", DAOS_PROP_CO_LAYOUT_DATABASE},
    {"ROOT", DAOS_PROP_CO_LAYOUT_ROOT},         {"RNTuple", DAOS_PROP_CO_LAYOUT_ROOT},
    {"SEISMIC", DAOS_PROP_CO_LAYOUT_SEISMIC},   {"DSG", DAOS_PROP_CO_LAYOUT_SEISMIC},
    {"METEO", DAOS_PROP_CO_LAYOUT_METEO},       {"FDB", DAOS_PROP_CO_LAYOUT_METEO},
};

void
daos_parse_ctype(const char *string, daos_cont_layout_t *type)
{
	size_t i;

	*type = DAOS_PROP_CO_LAYOUT_UNKNOWN;
	for (i = 0; i < ARRAY_SIZE(ctypes); i++)
		if (strcasecmp(string, ctypes[i].name) == 0)
			*type = ctypes[i].type;
}

void
daos_unparse_ctype(daos_cont_layout_t ctype, char *string)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ctypes); i++)
		if (ctypes[i].type == ctype) {
			strcpy(string, ctypes[i].name);
			return;
		}
	strcpy(string, "unknown");
}
