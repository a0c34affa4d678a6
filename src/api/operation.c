#include "api/operation.h"
#include "api/schemas.h"
#include "base/err.h"
#include <pthread.h>
#include <string.h>

static const struct operation operations[OP__MAX] = {
#define OPERATION(name_, symbol, method_, route_, permission_, flags_, envelope_, audited_, verb_, summary_)           \
	[OP_##symbol] = {.id = OP_##symbol,                                                                            \
			 .name = #name_,                                                                               \
			 .method = method_,                                                                            \
			 .route = route_,                                                                              \
			 .permission = permission_,                                                                    \
			 .flags = (unsigned)(flags_),                                                                  \
			 .envelope = envelope_,                                                                        \
			 .audited = audited_,                                                                          \
			 .verb = verb_,                                                                                \
			 .summary = summary_,                                                                          \
			 SHAPE_##symbol},
#include "api/operations.def"
#undef OPERATION
};

const struct api_component api_components[] = {
	{"Action", api_action},
	{"Agent", api_agent},
	{"Attempt", api_run_attempt},
	{"Binding", api_binding},
	{"Check", api_check},
	{"Confinement", api_confinement},
	{"Connector", api_connector},
	{"ConnectorInFull", api_connector_full},
	{"Credential", api_credential},
	{"Event", api_audit_event},
	{"EventRow", api_audit_row},
	{"Grant", api_grant},
	{"InputField", api_input_field},
	{"LoadError", api_load_error},
	{"Member", api_member},
	{"Metadata", api_metadata},
	{"OAuth2", api_oauth2},
	{"Pending", api_pending},
	{"Preview", api_preview},
	{"Process", api_process},
	{"Report", api_report},
	{"Run", api_run},
	{"RunCall", api_run_call},
	{"Runner", api_runner},
	{"Session", api_session},
	{"Source", api_source},
	{"Spawn", api_spawn},
	{"VaultEntry", api_entry},
	{"VaultStatus", api_vault_status},
	{NULL, NULL},
};

const struct operation *operation_at(enum api_operation_id id)
{
	return &operations[id];
}

/* ------------------------------------------------------------------------------------------------------------- routing */

/*
 * The rows that a path may be of, looked for at each request: they are filed by the first letter behind "/v1/", which is never
 * that of a name in braces. What is shorter has a file of its own.
 */
enum { FILED_AT = 4, FILES = 32 };
static unsigned char filed[FILES][OP__MAX + 1]; /* ids, ended by OP__MAX */
_Static_assert(OP__MAX < UINT8_MAX, "an id fits");

static unsigned char *file_of(struct str path)
{
	return filed[path.n > FILED_AT ? (unsigned char)path.p[FILED_AT] % FILES : 0];
}

static void file_all(void)
{
	size_t n[FILES] = {0};
	for (enum api_operation_id id = 0; id < OP__MAX; id++) {
		struct str route = str_from(operations[id].route);
		size_t brace = str_find_char(route, '{');
		if (brace != STR_NPOS && brace <= FILED_AT)
			BUG("the route '%s' cannot be filed", operations[id].route);
		size_t at = (size_t)(file_of(route) - filed[0]) / sizeof filed[0];
		filed[at][n[at]++] = (unsigned char)id;
	}
	for (size_t at = 0; at < FILES; at++)
		filed[at][n[at]] = OP__MAX;
}

/*
 * Whether a route fits, and how many names in braces it has: each is a segment of its own, and takes one that is not empty.
 */
static bool route_fits(const char *route, struct str path, struct str ret_parameters[API_PATH_PARAMETERS],
		       size_t *ret_n)
{
	size_t n = 0, at = 0;
	while (*route != '\0') {
		if (*route != '{') {
			if (at == path.n || path.p[at++] != *route++)
				return false;
			continue;
		}
		size_t from = at;
		while (at < path.n && path.p[at] != '/')
			at++;
		if (at == from || n == API_PATH_PARAMETERS)
			return false;
		ret_parameters[n++] = str_slice(path, from, at);
		route = strchr(route, '}') + 1;
	}
	*ret_n = n;
	return at == path.n;
}

/* A route that is spelled out wins over one with names: "/v1/audit/tail" over "/v1/audit/{id}". */
const struct operation *operation_find(struct str method, struct str path,
				       struct str ret_parameters[API_PATH_PARAMETERS], bool *ret_path_known)
{
	const struct operation *found = NULL;
	size_t fewest = API_PATH_PARAMETERS + 1;
	bool known = false;
	struct str best[API_PATH_PARAMETERS] = {{NULL, 0}};
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, file_all);
	for (const unsigned char *at = file_of(path); *at != OP__MAX; at++) {
		enum api_operation_id id = *at;
		struct str parameters[API_PATH_PARAMETERS] = {{NULL, 0}};
		size_t n;
		if (!route_fits(operations[id].route, path, parameters, &n))
			continue;
		known = true;
		if (n >= fewest || !str_eq(method, str_from(operations[id].method)))
			continue;
		found = &operations[id];
		fewest = n;
		memcpy(best, parameters, sizeof best);
	}
	*ret_path_known = known;
	if (found != NULL)
		memcpy(ret_parameters, best, sizeof best);
	return found;
}
