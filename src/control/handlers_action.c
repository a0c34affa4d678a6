#include "connector/grant.h"
#include "control/actions.h"
#include "control/connectors.h"
#include "control/control.h"
#include "text/json_members.h"

/* Connectors as last seen, to hold what actions ask for against; manifests are read when they are first wanted. */
struct known {
	struct connector_rows rows;
	struct connector_manifest **manifests; /* by row; NULL: not read, or not readable */
};

static int read_known(struct request *r, struct known *known, struct err *err)
{
	struct db_tx *tx = db_read(r->control->db);
	int rc = connectors_list(tx, r->arena, &known->rows, err);
	db_done(tx);
	if (rc == 0)
		known->manifests = arena_array(r->arena, known->rows.n + 1, sizeof *known->manifests);
	return rc;
}

static void release_known(struct known *known)
{
	for (size_t i = 0; known->manifests != NULL && i < known->rows.n; i++)
		connector_manifest_free(known->manifests[i]);
}
#define AUTO_KNOWN __attribute__((cleanup(release_known))) struct known

static const struct connector_row *find_known(const struct known *known, struct str fqn, size_t *ret_index)
{
	for (size_t i = 0; i < known->rows.n; i++) {
		if (str_eq(known->rows.items[i].fqn, fqn)) {
			*ret_index = i;
			return &known->rows.items[i];
		}
	}
	return NULL;
}

static const struct connector_manifest *manifest_of(struct known *known, size_t index)
{
	if (known->manifests[index] == NULL)
		known->manifests[index] = connector_manifest_parse(known->rows.items[index].manifest, "", NULL);
	return known->manifests[index];
}

/* ------------------------------------------------------------------------------------------------------------- showing */

static void put_hosts(struct json_writer *w, const struct action_connector *connector,
		      const struct connector_manifest *manifest)
{
	bool own = connector->hosts.items != NULL;
	if (own)
		member_list(w, "hosts", connector->hosts.items, connector->hosts.n);
	else
		member_list(w, "hosts", manifest != NULL ? manifest->hosts.items : NULL,
			    manifest != NULL ? manifest->hosts.n : 0);
	member_bool(w, "any_public_host", !own && manifest != NULL && grant_is_permissive(manifest));
}

static void put_connector(struct json_writer *w, const struct action_connector *connector, struct known *known)
{
	size_t index = 0;
	const struct connector_row *row = find_known(known, connector->name, &index);
	jsonw_begin_object(w);
	member_str(w, "name", connector->name);
	member_str(w, "version", connector->version);
	member_str(w, "hash", connector->hash);
	member_list(w, "capabilities", connector->capabilities.items, connector->capabilities.n);
	put_hosts(w, connector, row != NULL ? manifest_of(known, index) : NULL);
	member_z(w, "status", row != NULL ? "linked" : "missing");
	if (row != NULL) {
		member_str(w, "actual_version", row->version);
		member_str(w, "actual_hash", row->content_hash);
	}
	if (connector->unpinned)
		member_z(w, "pinned", "unpinned");
	else if (row != NULL)
		member_z(w, "pinned", str_eq(row->content_hash, connector->hash) ? "match" : "differs");
	jsonw_end_object(w);
}

static void put_requires(struct json_writer *w, const struct action *action, struct known *known)
{
	member_begin_object(w, "requires");
	member_begin_array(w, "connectors");
	for (size_t i = 0; i < action->n_connectors; i++)
		put_connector(w, &action->connectors[i], known);
	jsonw_end_array(w);
	jsonw_end_object(w);
	member_begin_object(w, "match");
	member_str(w, "intent", action->intent);
	jsonw_end_object(w);
}

static void put_inputs(struct json_writer *w, const struct action *action)
{
	member_begin_array(w, "inputs");
	for (size_t i = 0; i < action->n_inputs; i++) {
		const struct action_input *input = &action->inputs[i];
		jsonw_begin_object(w);
		member_str(w, "name", input->name);
		member_z(w, "type", action_type_name(input->type));
		if (input->items != ACTION_TYPE__MAX)
			member_z(w, "items_type", action_type_name(input->items));
		member_bool(w, "required", input->required);
		member_str(w, "description", input->description);
		member_str_given(w, "label", input->label);
		member_bool(w, "multiline", input->multiline);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
}

static void put_templates(struct json_writer *w, const char *name, const struct json *templates)
{
	if (templates == NULL)
		return;
	jsonw_key(w, str_from(name));
	jsonw_value(w, templates);
}

static void put_steps(struct json_writer *w, const struct action *action)
{
	member_begin_array(w, "execute");
	for (size_t i = 0; i < action->n_steps; i++) {
		const struct action_step *step = &action->steps[i];
		jsonw_begin_object(w);
		member_str(w, "id", step->id);
		member_str(w, "connector", action->connectors[step->connector].name);
		member_str(w, "op", step->op);
		member_z(w, "effect", action_effect_name(step->effect));
		if (step->has_idempotent)
			member_bool(w, "idempotent", step->idempotent);
		put_templates(w, "inputs", step->inputs);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
}

static void put_preview(struct json_writer *w, const struct action_preview *preview)
{
	member_begin_object(w, "preview");
	member_str(w, "op", preview->op);
	put_templates(w, "args", preview->args);
	member_begin_object(w, "render");
	for (size_t i = 0; i < preview->n_render; i++) {
		jsonw_key(w, preview->render[i].label);
		jsonw_str(w, preview->render[i].path);
	}
	jsonw_end_object(w);
	member_begin_array(w, "multiline");
	for (size_t i = 0; i < preview->n_render; i++) {
		if (preview->render[i].multiline)
			jsonw_str(w, preview->render[i].label);
	}
	jsonw_end_array(w);
	jsonw_end_object(w);
}

static void put_approval(struct json_writer *w, const struct action *action)
{
	member_begin_object(w, "approval");
	member_bool(w, "required", action->approval_required);
	member_bool(w, "editable", action->approval_editable);
	member_bool(w, "grants", action->approval_grants);
	if (action->preview.present)
		put_preview(w, &action->preview);
	jsonw_end_object(w);
}

static void put_hints(struct json_writer *w, const struct action *action)
{
	struct action_hints hints = action_hints(action);
	member_begin_object(w, "hints");
	member_bool(w, "read_only", hints.read_only);
	member_bool(w, "destructive", hints.destructive);
	member_bool(w, "idempotent", hints.idempotent);
	member_bool(w, "open_world", hints.open_world);
	jsonw_end_object(w);
}

struct showing {
	const struct action_set *set;
	struct known *known;
	bool in_full;
};

/* Hosts are the manifest's to give: one that an action names beyond them is not reached. */
static void put_strange_hosts(struct request *r, struct known *known, const struct action_connector *connector)
{
	size_t index = 0;
	if (find_known(known, connector->name, &index) == NULL)
		return;
	const struct connector_manifest *manifest = manifest_of(known, index);
	if (manifest == NULL || grant_is_permissive(manifest))
		return;
	for (size_t i = 0; i < connector->hosts.n; i++) {
		struct str host = connector->hosts.items[i];
		size_t at = 0;
		while (at < manifest->hosts.n && !str_eq_fold(manifest->hosts.items[at], host))
			at++;
		if (at == manifest->hosts.n)
			jsonw_str(&r->json, arena_printf(r->arena, "'%.*s' is no host of '%.*s', and cannot be reached",
							 STR_FMT(host), STR_FMT(connector->name)));
	}
}

static void put_problems(struct request *r, const struct showing *showing, const struct action_entry *entry)
{
	struct json_writer *w = &r->json;
	const struct action_set *set = showing->set;
	member_begin_array(w, "problems");
	for (size_t i = 0; i < set->n_faults; i++) {
		if (str_eq(set->faults[i].name, entry->action->name))
			jsonw_str(w, str_from(set->faults[i].error->message));
	}
	for (size_t i = 0; i < entry->action->n_connectors; i++)
		put_strange_hosts(r, showing->known, &entry->action->connectors[i]);
	jsonw_end_array(w);
}

static void put_action(struct request *r, const struct showing *showing, const struct action_entry *entry)
{
	struct json_writer *w = &r->json;
	const struct action *action = entry->action;
	jsonw_begin_object(w);
	member_str(w, "name", action->name);
	member_str(w, "version", action->version);
	member_str(w, "title", action_title(action));
	member_str(w, "source", action->source);
	member_str(w, "hash", action->hash);
	member_z(w, "tool", entry->tool);
	member_str_given(w, "tool_problem", entry->tool_problem);
	put_requires(w, action, showing->known);
	put_inputs(w, action);
	put_steps(w, action);
	put_approval(w, action);
	put_hints(w, action);
	member_bool(w, "enabled", entry->enabled);
	member_bool(w, "linked", true);
	member_bool(w, "signed", false);
	member_str(w, "path", entry->path);
	member_time(w, "linked_at", entry->linked_ns);
	put_problems(r, showing, entry);
	if (showing->in_full)
		member_str(w, "body", action->body);
	jsonw_end_object(w);
}

/* The link itself, or a file of it; "" = everything. */
static bool is_of(struct str path, struct str link)
{
	return link.n == 0 || str_eq(path, link) ||
	       (str_starts(path, link) && (path.p[link.n] == '/' || str_ends(link, S("/"))));
}

static void put_actions(struct request *r, const char *name, const struct showing *showing, struct str link)
{
	member_begin_array(&r->json, name);
	for (size_t i = 0; i < showing->set->n; i++) {
		if (is_of(showing->set->items[i].path, link))
			put_action(r, showing, &showing->set->items[i]);
	}
	jsonw_end_array(&r->json);
}

static void put_fault(struct json_writer *w, const struct action_fault *fault)
{
	jsonw_begin_object(w);
	member_z(w, "class", err_row(fault->error->class)->name);
	member_z(w, "message", fault->error->message);
	member_str(w, "file", fault->path);
	member_u64_given(w, "line", fault->error->line);
	member_str_given(w, "action", fault->name);
	member_z(w, "boundary", err_boundary_name(fault->error->boundary));
	jsonw_end_object(w);
}

static void put_faults(struct json_writer *w, const struct action_set *set, struct str link)
{
	size_t n = 0;
	member_begin_array(w, "load_errors");
	for (size_t i = 0; i < set->n_faults; i++) {
		if (!is_of(set->faults[i].path, link))
			continue;
		if (++n == ACTION_FAULTS_MAX) {
			struct err more;
			fail(&more, ERR_LIMIT, "there are more faults than these %d", ACTION_FAULTS_MAX - 1);
			put_fault(w, &(struct action_fault){.path = link, .error = &more});
			break;
		}
		put_fault(w, &set->faults[i]);
	}
	jsonw_end_array(w);
}

/* ------------------------------------------------------------------------------------------------------------- handlers */

int handle_action_list(struct request *r, struct err *err)
{
	AUTO_KNOWN known = {.manifests = NULL};
	if (read_known(r, &known, err) < 0)
		return -1;
	const struct action_set *set = actions_await(r->control->actions, err);
	if (set == NULL)
		return -1;
	const struct showing showing = {.set = set, .known = &known};
	jsonw_begin_object(&r->json);
	put_actions(r, "items", &showing, STR_EMPTY);
	put_faults(&r->json, set, STR_EMPTY);
	jsonw_end_object(&r->json);
	actions_release(set);
	return 0;
}

/* Opened, a connector is hashed anew: what is shown is what it is. One that cannot be opened is as it was last seen. */
static void look_at_connectors(struct request *r, const struct action *action)
{
	for (size_t i = 0; i < action->n_connectors; i++) {
		AUTO_CONNECTOR opened = CONNECTOR_OPENED_INIT;
		(void)!connector_open(r->control, r->arena, action->connectors[i].name, &opened, NULL);
	}
}

static int show(struct request *r, struct err *err)
{
	struct str name = r->parameters[0];
	const struct action_set *set = NULL;
	const struct action_entry *entry = actions_look_up(r->control->actions, name, &set, err);
	if (entry == NULL)
		return -1;
	look_at_connectors(r, entry->action);
	AUTO_KNOWN known = {.manifests = NULL};
	int rc = read_known(r, &known, err);
	const struct showing showing = {.set = set, .known = &known, .in_full = true};
	if (rc == 0)
		put_action(r, &showing, entry);
	actions_release(set);
	return rc;
}

int handle_action_show(struct request *r, struct err *err)
{
	return show(r, err);
}

int handle_action_patch(struct request *r, struct err *err)
{
	bool enabled = request_bool(r, "enabled", true);
	const struct audit_event by = request_event(r, AUDIT_ACTION_ENABLED);
	if (actions_enable(r->control->actions, r->parameters[0], enabled, &by, err) < 0)
		return -1;
	return show(r, err);
}

int handle_action_link(struct request *r, struct err *err)
{
	const struct audit_event by = request_event(r, AUDIT_ACTION_LINKED);
	struct str path = STR_EMPTY;
	AUTO_KNOWN known = {.manifests = NULL};
	if (read_known(r, &known, err) < 0 ||
	    actions_link(r->control->actions, request_str(r, "path"), &by, r->arena, &path, err) < 0)
		return -1;
	const struct action_set *set = actions_hold(r->control->actions);
	const struct showing showing = {.set = set, .known = &known};
	jsonw_begin_object(&r->json);
	member_str(&r->json, "path", path);
	put_actions(r, "actions", &showing, path);
	put_faults(&r->json, set, path);
	jsonw_end_object(&r->json);
	actions_release(set);
	return 0;
}

int handle_action_unlink(struct request *r, struct err *err)
{
	const struct audit_event by = request_event(r, AUDIT_ACTION_UNLINKED);
	struct str path = request_str(r, "path"), name = request_str(r, "name");
	struct actions_unlinked gone = {0};
	if ((path.n == 0) == (name.n == 0))
		return fail(err, ERR_INVALID_REQUEST, "either 'path' or 'name' is needed");
	if (actions_unlink(r->control->actions, path.n > 0 ? path : name, &by, r->arena, &gone, err) < 0)
		return -1;
	jsonw_begin_object(&r->json);
	member_str(&r->json, "path", gone.path);
	member_list(&r->json, "actions", gone.names, gone.n);
	jsonw_end_object(&r->json);
	return 0;
}
