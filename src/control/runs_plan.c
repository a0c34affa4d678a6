#include "action/set.h"
#include "control/keeper_client.h"
#include "control/runs_private.h"
#include "connector/grant.h"

/* ------------------------------------------------------------------------------------------------------------ checking */

bool run_plan_is_safe(const struct run_plan *plan, size_t step)
{
	const struct action_step *s = &plan->action->steps[step];
	if (s->has_idempotent)
		return s->idempotent;
	return str_eq(plan->opened[s->connector].manifest->idempotency, S("idempotent"));
}

struct str_list run_plan_hosts(const struct run_plan *plan, size_t connector)
{
	static const struct str any[] = {{"*", 1}};
	const struct str_list own = plan->action->connectors[connector].hosts;
	const struct connector_manifest *manifest = plan->opened[connector].manifest;
	if (own.items != NULL)
		return own;
	return grant_is_permissive(manifest) ? (struct str_list){any, 1} : manifest->hosts;
}

/* ------------------------------------------------------------------------------------------------------------- opening */

/* An action may narrow what the manifest lists, and no more. */
static int check_hosts(const struct action *action, const struct action_connector *connector,
		       const struct connector_manifest *manifest, struct err *err)
{
	for (size_t i = 0; connector->hosts.items != NULL && i < connector->hosts.n; i++) {
		struct str host = connector->hosts.items[i];
		bool listed = grant_is_permissive(manifest);
		for (size_t k = 0; k < manifest->hosts.n && !listed; k++)
			listed = str_eq_fold(host, manifest->hosts.items[k]);
		if (listed)
			continue;
		fail(err, ERR_CAPABILITY_DENIED,
		     "the action '%.*s' names the host '%.*s', which is not among those of '%.*s'",
		     STR_FMT(action->name), STR_FMT(host), STR_FMT(connector->name));
		err_set_boundary(err, BOUNDARY_ACTION);
		err_detail(err, "action", action->name);
		err_detail(err, "connector", connector->name);
		err_detail(err, "requested", host);
		return -1;
	}
	return 0;
}

static int open_one(struct runs *runs, struct arena *arena, struct run_plan *plan, size_t i, struct err *err)
{
	struct control *control = runs->control;
	struct connector_opened *opened = &plan->opened[i];
	if (connector_open(control, arena, plan->action->connectors[i].name, opened, err) < 0)
		return wrap(err, "the action '%.*s'", STR_FMT(plan->action->name));
	if (check_hosts(plan->action, &plan->action->connectors[i], opened->manifest, err) < 0)
		return -1;
	const struct credential_owner owner = {opened->row.fqn, opened->manifest};
	if (credential_choose(control, arena, &owner, &plan->uses[i], err) < 0)
		return -1;
	plan->uses[i].fixed = true;
	plan->needs_vault = plan->needs_vault || plan->uses[i].bindings.n > 0;
	return 0;
}

static void describe(const struct runs *runs, struct arena *arena, struct run_plan *plan)
{
	const struct action *action = plan->action;
	struct approval_connector *connectors = arena_array(arena, action->n_connectors + 1, sizeof *connectors);
	size_t n_bindings = 0, n = 0;
	for (size_t i = 0; i < action->n_connectors; i++) {
		const struct str_list hosts = run_plan_hosts(plan, i);
		connectors[i] = (struct approval_connector){
			.name = plan->opened[i].row.fqn,
			.hash = plan->opened[i].content_hash,
			.hosts = hosts.items,
			.n_hosts = hosts.n,
		};
		n_bindings += plan->uses[i].bindings.n;
	}
	struct approval_binding *bindings = arena_array(arena, n_bindings + 1, sizeof *bindings);
	for (size_t i = 0; i < action->n_connectors; i++) {
		for (size_t k = 0; k < plan->uses[i].bindings.n; k++) {
			const struct binding *binding = &plan->uses[i].bindings.items[k];
			bindings[n++] = (struct approval_binding){
				.connector = connectors[i].name,
				.name = binding->name,
				.generation = binding_number(binding),
			};
		}
	}
	plan->parts = (struct approval_parts){
		.action = action->name,
		.action_hash = action->hash,
		.connectors = connectors,
		.n_connectors = action->n_connectors,
		.bindings = bindings,
		.n_bindings = n,
		.policy = str_from(runs->policy),
	};
}

static int fill(struct runs *runs, struct arena *arena, struct run_plan *plan, struct err *err)
{
	const struct action *action = plan->action;
	plan->opened = arena_array(arena, action->n_connectors + 1, sizeof *plan->opened);
	plan->uses = arena_array(arena, action->n_connectors + 1, sizeof *plan->uses);
	for (size_t i = 0; i < action->n_connectors; i++)
		plan->opened[i] = CONNECTOR_OPENED_INIT;
	for (size_t i = 0; i < action->n_steps; i++) {
		if (action_check_op(action, action->steps[i].connector, action->steps[i].op, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < action->n_connectors; i++) {
		if (open_one(runs, arena, plan, i, err) < 0)
			return -1;
	}
	describe(runs, arena, plan);
	return 0;
}

int run_plan_make(struct runs *runs, struct arena *arena, struct str action, struct run_plan *ret, struct err *err)
{
	struct run_plan plan = {0};
	plan.entry = actions_use(runs->control->actions, action, &plan.set, err);
	if (plan.entry == NULL)
		return -1;
	plan.action = plan.entry->action;
	if (fill(runs, arena, &plan, err) < 0) {
		run_plan_release(&plan);
		return -1;
	}
	*ret = plan;
	return 0;
}

int run_plan_pin(const struct run_plan *plan, struct err *err)
{
	for (size_t i = 0; i < plan->action->n_connectors; i++) {
		if (connector_pin(&plan->opened[i], err) < 0)
			return -1;
	}
	return 0;
}

void run_plan_release(struct run_plan *plan)
{
	for (size_t i = 0; plan->opened != NULL && i < plan->action->n_connectors; i++)
		connector_close(&plan->opened[i]);
	actions_release(plan->set);
	*plan = (struct run_plan){0};
}

/* --------------------------------------------------------------------------------------------------------------- bound */

int run_plan_bound(const struct run_plan *plan, struct arena *arena, const struct run *run, enum approval_text what,
		   struct str *ret, struct err *err)
{
	struct approval_parts parts = plan->parts;
	parts.caller = run->caller.id;
	parts.session = run->caller.session;
	parts.expires_ns = run->expires_ns;
	parts.args = run->args;
	AUTO_BUF text = BUF_INIT(APPROVAL_BOUND_MAX);
	if (approval_bound(&parts, what, &text, err) < 0)
		return -1;
	*ret = arena_str(arena, buf_str(&text));
	return 0;
}

int run_plan_vault_locked(struct runs *runs, struct arena *arena, const struct run_plan *plan, bool *ret,
			  struct err *err)
{
	struct keeper_state state = {.state = KEEPER_UNLOCKED};
	if (plan->needs_vault && keeper_ask_state(runs->control->keeper, arena, &state, err) < 0)
		return -1;
	*ret = state.state != KEEPER_UNLOCKED;
	return 0;
}
