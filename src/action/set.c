#include "action/set.h"
#include "base/escape.h"

int action_check_op(const struct action *action, size_t at, struct str op, struct err *err)
{
	const struct action_connector *connector = &action->connectors[at];
	char shown[ESCAPE_SHOWN_SIZE];
	if (str_list_has(connector->capabilities, op))
		return 0;
	fail(err, ERR_CAPABILITY_DENIED, "action '%.*s' has no capability '%s' on connector '%.*s'",
	     STR_FMT(action->name), escape_shown(op, shown), STR_FMT(connector->name));
	err_set_boundary(err, BOUNDARY_ACTION);
	err_detail(err, "action", action->name);
	err_detail(err, "action_version", action->version);
	err_detail(err, "connector", connector->name);
	err_detail(err, "connector_version", connector->version);
	err_detail(err, "requested", op);
	err_detail_list(err, "declared_subset", connector->capabilities.items, connector->capabilities.n);
	return -1;
}

int action_check_step(const struct action *action, size_t step, struct err *err)
{
	const struct action_step *row = &action->steps[step];
	if (action_check_op(action, row->connector, row->op, err) == 0)
		return 0;
	return err_at(err, action->file.n > 0 ? action->file.p : NULL, row->line);
}

static bool calls(const struct action *action, size_t step, struct str connector, struct str op)
{
	const struct action_step *row = &action->steps[step];
	return str_eq(row->op, op) && str_eq(action->connectors[row->connector].name, connector);
}

static int broken(const struct action *action, struct err *err, const char *why)
{
	char op[ESCAPE_SHOWN_SIZE];
	fail(err, ERR_VALIDATION_ERROR, "the preview's operation '%s' %s", escape_shown(action->preview.op, op), why);
	return err_at(err, action->file.n > 0 ? action->file.p : NULL, action->preview.line);
}

/* The action of the set, gated, of which a step calls it; NULL when there is none. */
static const struct action *gated_caller(const struct action *const *set, size_t n, struct str connector, struct str op)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t step = 0; set[i]->approval_required && step < set[i]->n_steps; step++) {
			if (calls(set[i], step, connector, op))
				return set[i];
		}
	}
	return NULL;
}

static bool is_idempotent_somewhere(const struct action *const *set, size_t n, struct str connector, struct str op)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t step = 0; step < set[i]->n_steps; step++) {
			if (calls(set[i], step, connector, op) && set[i]->steps[step].idempotent)
				return true;
		}
	}
	return false;
}

int action_check_in_set(const struct action *action, const struct action *const *set, size_t n, struct err *err)
{
	if (!action->preview.present)
		return 0;
	const struct action_connector *connector = &action->connectors[action->steps[0].connector];
	struct str op = action->preview.op;
	char why[2 * ACTION_WORD_MAX];
	if (!str_list_has(connector->capabilities, op))
		return broken(action, err, "is not among the 'capabilities' of the first step's connector");
	if (!is_idempotent_somewhere(set, n, connector->name, op))
		return broken(action, err,
			      "is no step with 'idempotent = true' of this connector in any action; an action that "
			      "calls it so shows that it may run before it is approved");
	const struct action *gated = gated_caller(set, n, connector->name, op);
	if (gated == NULL)
		return 0;
	snprintf(why, sizeof why, "needs approval itself, in action '%.*s'", STR_FMT(gated->name));
	return broken(action, err, why);
}
