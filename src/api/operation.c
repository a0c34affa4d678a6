#include "api/operation.h"
#include "api/schemas.h"

#define SEGMENTS_MAX 8

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
	{"Binding", api_binding},
	{"Check", api_check},
	{"Confinement", api_confinement},
	{"Connector", api_connector},
	{"ConnectorInFull", api_connector_full},
	{"Credential", api_credential},
	{"Event", api_audit_event},
	{"EventRow", api_audit_row},
	{"Member", api_member},
	{"Metadata", api_metadata},
	{"OAuth2", api_oauth2},
	{"Process", api_process},
	{"Report", api_report},
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

static size_t split_path(struct str path, struct str ret[SEGMENTS_MAX])
{
	size_t n = 0;
	if (!str_starts(path, S("/")))
		return 0;
	for (size_t from = 1; from <= path.n; n++) {
		if (n == SEGMENTS_MAX)
			return 0;
		size_t slash = str_find_char(str_slice(path, from, path.n), '/');
		size_t to = slash == STR_NPOS ? path.n : from + slash;
		ret[n] = str_slice(path, from, to);
		from = to + 1;
	}
	return n;
}

struct split {
	struct str segments[SEGMENTS_MAX];
	size_t n;
};

/* Whether a route fits, and how many of its segments are names in braces. */
static bool route_fits(const char *route, const struct split *path, struct str ret_parameters[API_PATH_PARAMETERS],
		       size_t *ret_n)
{
	struct split pattern;
	pattern.n = split_path(str_from(route), pattern.segments);
	if (pattern.n != path->n)
		return false;
	size_t n = 0;
	for (size_t i = 0; i < pattern.n; i++) {
		if (!str_starts(pattern.segments[i], S("{"))) {
			if (!str_eq(pattern.segments[i], path->segments[i]))
				return false;
		} else if (path->segments[i].n == 0 || n == API_PATH_PARAMETERS) {
			return false;
		} else {
			ret_parameters[n++] = path->segments[i];
		}
	}
	*ret_n = n;
	return true;
}

/* A route that is spelled out wins over one with names: "/v1/audit/tail" over "/v1/audit/{id}". */
const struct operation *operation_find(struct str method, struct str path,
				       struct str ret_parameters[API_PATH_PARAMETERS], bool *ret_path_known)
{
	struct split split;
	split.n = split_path(path, split.segments);
	const struct operation *found = NULL;
	size_t fewest = API_PATH_PARAMETERS + 1;
	bool known = false;
	struct str best[API_PATH_PARAMETERS] = {{NULL, 0}};
	for (enum api_operation_id id = 0; split.n > 0 && id < OP__MAX; id++) {
		struct str parameters[API_PATH_PARAMETERS] = {{NULL, 0}};
		size_t n;
		if (!route_fits(operations[id].route, &split, parameters, &n))
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
