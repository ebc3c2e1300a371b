/* How epochs, object ids and keys are written and read. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hlc.h"
#include "server/vos_dump/dump.h"

json_t *
json_big(uint64_t v)
{
	char text[24];

	if (v <= INT64_MAX)
		return json_integer((json_int_t)v);
	snprintf(text, sizeof(text), "%" PRIu64, v);
	return json_string(text);
}

json_t *
json_epoch(uint64_t v)
{
	return v == UINT64_MAX ? json_null() : json_big(v);
}

const char *
epoch_text(uint64_t epoch, char buf[EPOCH_TEXT])
{
	uint64_t ns = hlc_to_ns(epoch);
	time_t sec = (time_t)(ns / 1000000000);
	struct tm tm;
	size_t n;

	if (epoch == UINT64_MAX) {
		strcpy(buf, "none");
		return buf;
	}
	n = snprintf(buf, EPOCH_TEXT, "%" PRIu64, epoch);
	/* Small numbers are those of tests, not times. */
	if (epoch < (1ull << 40))
		return buf;
	gmtime_r(&sec, &tm);
	n += strftime(buf + n, EPOCH_TEXT - n, " (%F %T", &tm);
	snprintf(buf + n, EPOCH_TEXT - n, ".%03u)", (unsigned)(ns % 1000000000 / 1000000));
	return buf;
}

const char *
oid_text(const struct vos_oid *oid, char buf[OID_TEXT])
{
	snprintf(buf, OID_TEXT, "%" PRIu64 ".%" PRIu64 ".%u", oid->id.hi, oid->id.lo, oid->shard);
	return buf;
}

bool
oid_parse(const char *text, struct vos_oid *ret_oid, bool *ret_any_shard)
{
	uint64_t part[3] = {0};
	const char *p = text;
	int i, nr = 0;
	char *end;

	for (i = 0; i < 3; i++) {
		if (*p < '0' || *p > '9')
			return false;
		part[i] = strtoull(p, &end, 10);
		nr++;
		p = end;
		if (*p != '.')
			break;
		p++;
	}
	if (*p != '\0' || nr < 2 || part[2] > UINT32_MAX)
		return false;
	*ret_oid =
	    (struct vos_oid){.id = {.hi = part[0], .lo = part[1]}, .shard = (uint32_t)part[2]};
	*ret_any_shard = nr == 2;
	return true;
}

char *
hex_text(const void *buf, size_t len)
{
	static const char digit[] = "0123456789abcdef";
	const uint8_t *p = buf;
	char *text = malloc(2 * len + 1);
	size_t i;

	for (i = 0; text != NULL && i < len; i++) {
		text[2 * i] = digit[p[i] >> 4];
		text[2 * i + 1] = digit[p[i] & 15];
	}
	if (text != NULL)
		text[2 * len] = '\0';
	return text;
}

static bool
printable(const uint8_t *p, uint32_t len)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		if (p[i] <= ' ' || p[i] > '~')
			return false;
	/* Or it could not be told from a hexadecimal one. */
	return len > 0 && !(len >= 2 && p[0] == '0' && p[1] == 'x');
}

char *
key_text(const void *key, uint32_t len, bool is_uint)
{
	char *hex, *text;
	uint64_t num;

	if (is_uint && len == sizeof(num)) {
		memcpy(&num, key, sizeof(num));
		return asprintf(&text, "%" PRIu64, num) < 0 ? NULL : text;
	}
	if (printable(key, len))
		return strndup(key, len);
	hex = hex_text(key, len);
	if (hex == NULL || asprintf(&text, "0x%s", hex) < 0)
		text = NULL;
	free(hex);
	return text;
}

static bool
hex_parse(const char *text, uint8_t *out, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		char two[3] = {text[2 * i], text[2 * i + 1], '\0'};
		char *end;

		out[i] = (uint8_t)strtoul(two, &end, 16);
		if (end != two + 2)
			return false;
	}
	return true;
}

bool
key_parse(const char *text, bool is_uint, daos_key_t *ret)
{
	size_t len = strlen(text);
	uint8_t *buf = malloc(len + sizeof(uint64_t));
	bool ok = buf != NULL && len > 0;
	char *end;

	if (ok && is_uint) {
		uint64_t num = strtoull(text, &end, 0);

		ok = *end == '\0' && text[0] >= '0' && text[0] <= '9';
		memcpy(buf, &num, sizeof(num));
		len = sizeof(num);
	} else if (ok && len >= 4 && strncmp(text, "0x", 2) == 0) {
		ok = len % 2 == 0 && hex_parse(text + 2, buf, len / 2 - 1);
		len = len / 2 - 1;
	} else if (ok) {
		memcpy(buf, text, len);
	}
	if (!ok) {
		free(buf);
		return false;
	}
	*ret = (daos_key_t){.iov_buf = buf, .iov_buf_len = len, .iov_len = len};
	return true;
}

void
hex_dump(FILE *out, const char *indent, uint64_t at, const uint8_t *buf, size_t len)
{
	size_t i, k;

	for (i = 0; i < len; i += 16) {
		fprintf(out, "%s%08" PRIx64 " ", indent, at + i);
		for (k = i; k < i + 16; k++) {
			if (k < len)
				fprintf(out, "%s%02x", k % 8 == 0 ? "  " : " ", buf[k]);
			else
				fprintf(out, "%s", k % 8 == 0 ? "    " : "   ");
		}
		fprintf(out, "  |");
		for (k = i; k < len && k < i + 16; k++)
			fputc(buf[k] >= ' ' && buf[k] <= '~' ? buf[k] : '.', out);
		fprintf(out, "|\n");
	}
}
