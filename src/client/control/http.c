/* Calls to the management API over libcurl (see http.h). Each call is a connection of its own:
 * control traffic is rare. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <curl/curl.h>

#include <daos_errno.h>

#include "client/control/http.h"

struct body {
	char *data;
	size_t len;
};

static size_t
body_add(char *ptr, size_t size, size_t nmemb, void *arg)
{
	struct body *body = arg;
	size_t n = size * nmemb;
	char *more;

	if (n > HTTP_BODY_MAX - body->len)
		return 0;
	more = realloc(body->data, body->len + n + 1);
	if (more == NULL)
		return 0;
	body->data = more;
	memcpy(body->data + body->len, ptr, n);
	body->len += n;
	body->data[body->len] = '\0';
	return n;
}

static int
curl_to_der(CURLcode code)
{
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return -DER_TIMEDOUT;
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return -DER_UNREACH;
	case CURLE_OUT_OF_MEMORY:
		return -DER_NOMEM;
	default:
		return -DER_PROTO;
	}
}

static bool
has_port(const char *host)
{
	const char *colon = strrchr(host, ':');

	return colon != NULL && colon[1] != '\0' &&
	       strspn(colon + 1, "0123456789") == strlen(colon + 1);
}

static int
transfer(const char *host, uint16_t port_default, const char *method, const char *post,
	 uint32_t timeout_ms, struct body *body, long *ret_code, char err[HTTP_ERR_LEN])
{
	char url[512];
	char port[8] = "";
	CURL *curl;
	struct curl_slist *headers = NULL;
	CURLcode code;

	if (!has_port(host))
		snprintf(port, sizeof(port), ":%u", port_default);
	if (snprintf(url, sizeof(url), "http://%s%s/v1/%s", host, port, method) >=
	    (int)sizeof(url)) {
		snprintf(err, HTTP_ERR_LEN, "host name too long");
		return -DER_INVAL;
	}
	curl = curl_easy_init();
	if (curl == NULL)
		return -DER_NOMEM;
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
			 (long)(timeout_ms < 5000 ? timeout_ms : 5000));
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, body_add);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
	if (post != NULL) {
		headers = curl_slist_append(NULL, "Content-Type: application/json");
		headers = curl_slist_append(headers, "Expect:");
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, post);
	}
	code = curl_easy_perform(curl);
	if (code == CURLE_OK)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_code);
	else
		snprintf(err, HTTP_ERR_LEN, "%s%s: %s", host, port,
			 code == CURLE_COULDNT_CONNECT
			     ? "no daos_server answers there (connection refused)"
			     : curl_easy_strerror(code));
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return code == CURLE_OK ? 0 : curl_to_der(code);
}

/* Take the answer apart; -DER_PROTO when it is not of our form. */
static int
answer_parse(const char *host, long http_code, const struct body *body, json_t **ret_response,
	     char err[HTTP_ERR_LEN])
{
	json_error_t je;
	json_t *doc = body->data == NULL ? NULL : json_loadb(body->data, body->len, 0, &je);
	json_t *status = json_object_get(doc, "status");
	const char *text = json_string_value(json_object_get(doc, "error"));
	int rc;

	if (!json_is_integer(status)) {
		snprintf(err, HTTP_ERR_LEN, "%s: the answer (HTTP %ld) is not one of a daos_server",
			 host, http_code);
		json_decref(doc);
		return -DER_PROTO;
	}
	rc = json_integer_value(status);
	if (rc != 0) {
		snprintf(err, HTTP_ERR_LEN, "%s", text == NULL ? "no reason given" : text);
	} else {
		json_t *response = json_object_get(doc, "response");

		*ret_response = response == NULL ? json_null() : json_incref(response);
	}
	json_decref(doc);
	return rc;
}

int
http_call(const char *host, uint16_t port_default, const char *method, json_t *req,
	  uint32_t timeout_ms, json_t **ret_response, char err[HTTP_ERR_LEN])
{
	char *post = req == NULL ? strdup("{}") : json_dumps(req, JSON_COMPACT);
	struct body body = {0};
	long code = 0;
	int rc;

	err[0] = '\0';
	if (post == NULL)
		return -DER_NOMEM;
	rc = transfer(host, port_default, method, post, timeout_ms, &body, &code, err);
	if (rc == 0)
		rc = answer_parse(host, code, &body, ret_response, err);
	free(post);
	free(body.data);
	return rc;
}

int
http_get_raw(const char *host, uint16_t port_default, const char *method, uint32_t timeout_ms,
	     uint8_t **ret_buf, size_t *ret_len, char err[HTTP_ERR_LEN])
{
	struct body body = {0};
	json_t *unused = NULL;
	long code = 0;
	int rc;

	err[0] = '\0';
	rc = transfer(host, port_default, method, NULL, timeout_ms, &body, &code, err);
	if (rc == 0 && code != 200) {
		rc = answer_parse(host, code, &body, &unused, err);
		json_decref(unused);
		if (rc == 0)
			rc = -DER_PROTO;
	}
	if (rc != 0) {
		free(body.data);
		return rc;
	}
	*ret_buf = (uint8_t *)body.data;
	*ret_len = body.len;
	return 0;
}
