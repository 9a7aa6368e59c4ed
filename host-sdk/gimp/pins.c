#include "pins.h"

#include <math.h>
#include <string.h>

#include "engine.h"
#include "words.h"

static const char FORM[] = "FROM_X,FROM_Y[:TO_X,TO_Y][@ANGLE][^DEPTH]";

/* One number, whatever the user's language writes for a decimal point. Moves `at` behind it. */
static gboolean number(const char **at, float *value) {
    gsize length = strspn(*at, "+-.0123456789eE");
    char digits[40];
    if (length == 0 || length >= sizeof digits) return FALSE;
    memcpy(digits, *at, length);
    digits[length] = '\0';
    char *end = NULL;
    double wide = g_ascii_strtod(digits, &end);
    if (*end != '\0' || !isfinite(wide) || fabs(wide) > PINS_FAR) return FALSE;
    *value = (float)wide;
    *at += length;
    return TRUE;
}

static gboolean point(const char **at, float *x, float *y) {
    if (!number(at, x) || **at != ',') return FALSE;
    ++*at;
    return number(at, y);
}

static gboolean pin(const char *at, ReposePin *out) {
    *out = (ReposePin){.angle = NAN};
    if (!point(&at, &out->from_x, &out->from_y)) return FALSE;
    out->to_x = out->from_x;
    out->to_y = out->from_y;
    if (*at == ':') {
        ++at;
        if (!point(&at, &out->to_x, &out->to_y)) return FALSE;
    }
    if (*at == '@') {
        ++at;
        if (!number(&at, &out->angle)) return FALSE;
    }
    if (*at == '^') {
        ++at;
        if (!number(&at, &out->depth)) return FALSE;
    }
    return *at == '\0';
}

GArray *pins_parse(const char *text, GError **error) {
    GArray *pins = g_array_new(FALSE, FALSE, sizeof(ReposePin));
    char **words = g_strsplit_set(text ? text : "", " \t\r\n;", -1);
    for (char **word = words; *word; word++) {
        ReposePin one;
        if (**word == '\0') continue;
        if (pins->len == PINS_MOST) {
            g_set_error(error, SHIM_ERROR, REPOSE_CALLER, _("There are more than %d pins."), PINS_MOST);
        } else if (pin(*word, &one)) {
            g_array_append_val(pins, one);
            continue;
        } else {
            g_set_error(error, SHIM_ERROR, REPOSE_CALLER,
                        _("Pin %u, \"%.60s\", cannot be read: a pin is %s, in pixels, with a point for decimals."),
                        pins->len + 1, *word, FORM);
        }
        g_array_free(pins, TRUE);
        pins = NULL;
        break;
    }
    g_strfreev(words);
    return pins;
}

/* Appends `before` and the shortest text of the number. */
static void put(GString *text, const char *before, float value) {
    char digits[G_ASCII_DTOSTR_BUF_SIZE];
    g_string_append(text, before);
    g_string_append(text, g_ascii_formatd(digits, sizeof digits, "%.7g", (double)value));
}

char *pins_text(const ReposePin *pins, guint count) {
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < count; i++) {
        put(text, i ? "\n" : "", pins[i].from_x);
        put(text, ",", pins[i].from_y);
        if (pins[i].to_x != pins[i].from_x || pins[i].to_y != pins[i].from_y) {
            put(text, ":", pins[i].to_x);
            put(text, ",", pins[i].to_y);
        }
        if (!isnan(pins[i].angle)) put(text, "@", pins[i].angle);
        if (pins[i].depth != 0) put(text, "^", pins[i].depth);
    }
    return g_string_free(text, FALSE);
}
