#include "library.h"

#include "words.h"

JsonNode *library_ask(ReposeEngine *engine, const char *command, GError **error) {
    ReposeBytes *answer = NULL, *sentence = NULL;
    ReposeStatus status = engine_api()->library_command(engine, command, &answer, &sentence);
    if (!engine_check(status, sentence, error)) return NULL;
    JsonNode *root = json_from_string(answer->data, error);
    engine_api()->bytes_free(answer);
    if (root && JSON_NODE_HOLDS_OBJECT(root)) return root;
    if (root) json_node_unref(root);
    if (!error || !*error) g_set_error_literal(error, SHIM_ERROR, REPOSE_BUG, _("Repose gave no reason."));
    return NULL;
}

static JsonNode *member(JsonObject *object, const char *name) {
    return object && json_object_has_member(object, name) ? json_object_get_member(object, name) : NULL;
}

static gboolean holds(JsonNode *node, GType type) {
    return node && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == type;
}

const char *library_text(JsonObject *object, const char *name) {
    JsonNode *node = member(object, name);
    return holds(node, G_TYPE_STRING) ? json_node_get_string(node) : "";
}

gint64 library_number(JsonObject *object, const char *name) {
    JsonNode *node = member(object, name);
    return holds(node, G_TYPE_INT64) ? json_node_get_int(node) : 0;
}

gboolean library_flag(JsonObject *object, const char *name) {
    JsonNode *node = member(object, name);
    return holds(node, G_TYPE_BOOLEAN) && json_node_get_boolean(node);
}

JsonObject *library_object(JsonObject *object, const char *name) {
    JsonNode *node = member(object, name);
    return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

JsonArray *library_list(JsonObject *object, const char *name) {
    JsonNode *node = member(object, name);
    return node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
}

JsonObject *library_item(JsonArray *list, guint index) {
    JsonNode *node = list && index < json_array_get_length(list) ? json_array_get_element(list, index) : NULL;
    return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}
