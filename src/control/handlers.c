#include "control/handlers.h"

request_handler *const control_handlers[OP__MAX] = {
#define OPERATION(name, symbol, ...) [OP_##symbol] = handle_##name,
#include "api/operations.def"
#undef OPERATION
};
