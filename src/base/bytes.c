/* Sizes as people write them. The arithmetic is exact: no floating point on the way in. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <daos_errno.h>

#include "base/bytes.h"

static const char prefixes[] = "kmgtpe";

/* The factor of a suffix; 0 if it is none. */
static uint64_t
suffix_factor(const char *s)
{
	const char *p;
	uint64_t base = 1000;
	uint64_t factor;
	int power;

	if (s[0] == '\0' || strcasecmp(s, "b") == 0)
		return 1;
	p = strchr(prefixes, tolower((unsigned char)s[0]));
	if (p == NULL)
		return 0;
	s++;
	if (tolower((unsigned char)s[0]) == 'i') {
		base = 1024;
		s++;
	}
	if (s[0] != '\0' && strcasecmp(s, "b") != 0)
		return 0;
	factor = base;
	for (power = (int)(p - prefixes); power > 0; power--)
		factor *= base;
	return factor;
}

static const char *
skip_space(const char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	return s;
}

/* Digits with an optional fraction: the whole part, and the fraction in units of 1e-18. */
static int
parse_decimal(const char **ps, uint64_t *ret_whole, uint64_t *ret_frac)
{
	const char *s = skip_space(*ps);
	uint64_t unit = 100000000000000000ull;
	bool digits = false;

	*ret_whole = 0;
	*ret_frac = 0;
	for (; isdigit((unsigned char)*s); s++, digits = true) {
		if (__builtin_mul_overflow(*ret_whole, 10, ret_whole) ||
		    __builtin_add_overflow(*ret_whole, (uint64_t)(*s - '0'), ret_whole))
			return -DER_OVERFLOW;
	}
	if (*s == '.') {
		for (s++; isdigit((unsigned char)*s); s++, digits = true) {
			*ret_frac += unit * (uint64_t)(*s - '0');
			unit /= 10;
		}
	}
	if (!digits)
		return -DER_INVAL;
	*ps = skip_space(s);
	return 0;
}

int
bytes_parse(const char *s, uint64_t *ret_bytes)
{
	char suffix[8];
	uint64_t whole;
	uint64_t frac;
	uint64_t factor;
	uint64_t bytes;
	size_t len;
	int rc;

	rc = parse_decimal(&s, &whole, &frac);
	if (rc != 0)
		return rc;
	len = strlen(s);
	while (len > 0 && isspace((unsigned char)s[len - 1]))
		len--;
	if (len >= sizeof(suffix))
		return -DER_INVAL;
	memcpy(suffix, s, len);
	suffix[len] = '\0';
	factor = suffix_factor(suffix);
	if (factor == 0)
		return -DER_INVAL;
	if (__builtin_mul_overflow(whole, factor, &bytes) ||
	    __builtin_add_overflow(
		bytes, (uint64_t)((unsigned __int128)frac * factor / 1000000000000000000ull),
		&bytes))
		return -DER_OVERFLOW;
	*ret_bytes = bytes;
	return 0;
}

int
percent_parse(const char *s, double *ret_percent)
{
	uint64_t whole;
	uint64_t frac;
	int rc;

	rc = parse_decimal(&s, &whole, &frac);
	if (rc != 0)
		return -DER_INVAL;
	if (*s != '%' || *skip_space(s + 1) != '\0')
		return -DER_INVAL;
	if (whole > 100 || (whole == 100 && frac > 0))
		return -DER_INVAL;
	*ret_percent = (double)whole + (double)frac / 1e18;
	return 0;
}

static char *
bytes_fmt(uint64_t bytes, unsigned int base, const char *infix, char *buf)
{
	double v = (double)bytes;
	int power = 0;

	if (bytes < base) {
		snprintf(buf, BYTES_STR_LEN, "%u B", (unsigned int)bytes);
		return buf;
	}
	/* what would be shown as 1000 (or 1024) units is shown as one of the next */
	while (v >= base - 0.5 && power < 6) {
		v /= base;
		power++;
	}
	snprintf(buf, BYTES_STR_LEN, v < 9.95 ? "%.1f %c%sB" : "%.0f %c%sB", v,
		 base == 1024 || power != 1 ? toupper(prefixes[power - 1]) : 'k', infix);
	return buf;
}

char *
bytes_fmt_dec(uint64_t bytes, char *buf)
{
	return bytes_fmt(bytes, 1000, "", buf);
}

char *
bytes_fmt_bin(uint64_t bytes, char *buf)
{
	return bytes_fmt(bytes, 1024, "i", buf);
}
