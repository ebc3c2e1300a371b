/*
 * Calls to daos_server's management API: one POST of a JSON document, one JSON document back, or
 * raw bytes.
 *
 * Path /v1/<method>. The answer of a JSON method is {"status": 0 | negative DER, "error": null |
 * text, "response": ...}.
 */
#ifndef CLIENT_CONTROL_HTTP_H
#define CLIENT_CONTROL_HTTP_H

#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

enum { HTTP_ERR_LEN = 256, HTTP_BODY_MAX = 64 << 20 };

/*
 * host: "name" or "name:port" (port_default when absent). req may be NULL. timeout_ms bounds the
 * whole call. Returns 0 when an answer with status 0 came: *ret_response is its "response" (a new
 * reference, may be json null). Otherwise a negative DER number (-DER_UNREACH: no connection,
 * -DER_TIMEDOUT, -DER_PROTO: not our protocol, or the answer's status), and err says in one line
 * what happened.
 */
int http_call(const char *host, uint16_t port_default, const char *method, json_t *req,
	      uint32_t timeout_ms, json_t **ret_response, char err[HTTP_ERR_LEN]);

/* GET of raw bytes (the attach info for agents): *ret_buf malloced. */
int http_get_raw(const char *host, uint16_t port_default, const char *method, uint32_t timeout_ms,
		 uint8_t **ret_buf, size_t *ret_len, char err[HTTP_ERR_LEN]);

#endif
