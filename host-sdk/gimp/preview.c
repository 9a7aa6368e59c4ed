#include "preview.h"

#include <gdk/gdkkeysyms.h>
#include <math.h>

#include "canvas.h"
#include "host.h"
#include "pins.h"
#include "toolkit.h"

/* How near the mouse must be to a point, and how far a press may slip and still be a click, in screen pixels. */
#define NEAR 9.0
#define SLIP 3.0

typedef enum Drag { DRAG_NONE, DRAG_FROM, DRAG_TO, DRAG_VIEW } Drag;

struct Preview {
    GtkWidget *area;
    const Picture *picture;
    gboolean with_pins;
    PreviewChanged changed;
    gpointer data;
    GArray *pins;
    int chosen;
    View view;
    gboolean fitted; /* the view follows the widget's size */
    cairo_surface_t *seen;
    cairo_surface_t *selection;
    cairo_surface_t *work; /* the job's preview */
    gboolean working;
    const ReposeJob *result;
    guint candidate;
    Drag drag;
    gboolean slipped; /* a press that is still a click */
    double press_x;
    double press_y;
};

static void forget(cairo_surface_t **surface) { g_clear_pointer(surface, cairo_surface_destroy); }

void preview_refresh(Preview *preview) {
    forget(&preview->seen);
    forget(&preview->selection);
    gtk_widget_queue_draw(preview->area);
}

/* ---- Between image and screen ------------------------------------------------------------------------------- */

static double screen_x(const Preview *p, double x) { return (x - p->picture->place.x - p->view.x) * p->view.scale; }
static double screen_y(const Preview *p, double y) { return (y - p->picture->place.y - p->view.y) * p->view.scale; }
static double image_x(const Preview *p, double x) { return x / p->view.scale + p->view.x + p->picture->place.x; }
static double image_y(const Preview *p, double y) { return y / p->view.scale + p->view.y + p->picture->place.y; }

/* All of the layer; or, where the subject is small in it, the selection and some of what is around. */
static GeglRectangle part(const Picture *picture) {
    GeglRectangle all = {0, 0, picture->place.width, picture->place.height};
    GeglRectangle at = picture->selection;
    if (!picture->selected || at.width * 5 > all.width * 2 || at.height * 5 > all.height * 2) return all;
    int rim = MAX(at.width, at.height) * 3 / 4;
    GeglRectangle around = {at.x - picture->place.x - rim, at.y - picture->place.y - rim, at.width + 2 * rim,
                            at.height + 2 * rim};
    gegl_rectangle_intersect(&around, &around, &all);
    return around;
}

/* ---- Painting ----------------------------------------------------------------------------------------------- */

static void paint_checks(cairo_t *cairo, double x, double y, double width, double height) {
    cairo_save(cairo);
    cairo_rectangle(cairo, x, y, width, height);
    cairo_clip(cairo);
    cairo_set_source_rgb(cairo, 0.6, 0.6, 0.6);
    cairo_paint(cairo);
    cairo_set_source_rgb(cairo, 0.4, 0.4, 0.4);
    for (int j = 0; j * 8 < height; j++)
        for (int i = j % 2; i * 8 < width; i += 2) cairo_rectangle(cairo, x + i * 8, y + j * 8, 8, 8);
    cairo_fill(cairo);
    cairo_restore(cairo);
}

/* Darkens what is not selected. */
static void paint_selection(Preview *preview, cairo_t *cairo, double x, double y, double width, double height) {
    if (!preview->selection) return;
    cairo_save(cairo);
    cairo_rectangle(cairo, x, y, width, height);
    cairo_clip(cairo);
    cairo_push_group(cairo);
    cairo_set_source_rgba(cairo, 0.08, 0.08, 0.1, 0.5);
    cairo_paint(cairo);
    cairo_set_operator(cairo, CAIRO_OPERATOR_DEST_OUT);
    cairo_set_source_rgb(cairo, 0, 0, 0);
    cairo_mask_surface(cairo, preview->selection, 0, 0);
    cairo_pop_group_to_source(cairo);
    cairo_paint(cairo);
    cairo_restore(cairo);
}

/* A line in a colour with a dark rim, so that it is seen on any picture. */
static void stroke(cairo_t *cairo, double width, const double *colour) {
    cairo_set_line_width(cairo, width + 2);
    cairo_set_source_rgba(cairo, 0, 0, 0, 0.65);
    cairo_stroke_preserve(cairo);
    cairo_set_line_width(cairo, width);
    cairo_set_source_rgb(cairo, colour[0], colour[1], colour[2]);
    cairo_stroke(cairo);
}

static void paint_dot(cairo_t *cairo, double x, double y, double radius, const double *colour) {
    cairo_new_sub_path(cairo);
    cairo_arc(cairo, x, y, radius, 0, 2 * G_PI);
    cairo_set_source_rgb(cairo, colour[0], colour[1], colour[2]);
    cairo_fill_preserve(cairo);
    cairo_set_line_width(cairo, 1.5);
    cairo_set_source_rgba(cairo, 0, 0, 0, 0.75);
    cairo_stroke(cairo);
}

static gboolean moves(const ReposePin *pin) { return pin->from_x != pin->to_x || pin->from_y != pin->to_y; }

static void paint_pin(const Preview *preview, cairo_t *cairo, const ReposePin *pin, gboolean chosen) {
    static const double MOVING[] = {1.0, 0.62, 0.1}, HOLDING[] = {0.35, 0.75, 1.0}, WHITE[] = {1, 1, 1};
    const double *colour = moves(pin) ? MOVING : HOLDING;
    double from_x = screen_x(preview, pin->from_x), from_y = screen_y(preview, pin->from_y);
    double x = screen_x(preview, pin->to_x), y = screen_y(preview, pin->to_y);
    if (moves(pin)) {
        double angle = atan2(y - from_y, x - from_x), length = hypot(x - from_x, y - from_y);
        cairo_move_to(cairo, from_x, from_y);
        cairo_line_to(cairo, x, y);
        if (length > 22) { /* an arrow's head before the dot */
            double tip_x = x - 8 * cos(angle), tip_y = y - 8 * sin(angle);
            cairo_move_to(cairo, tip_x - 9 * cos(angle - 0.5), tip_y - 9 * sin(angle - 0.5));
            cairo_line_to(cairo, tip_x, tip_y);
            cairo_line_to(cairo, tip_x - 9 * cos(angle + 0.5), tip_y - 9 * sin(angle + 0.5));
        }
        stroke(cairo, 2, colour);
        paint_dot(cairo, from_x, from_y, 3.5, WHITE);
    }
    if (!isnan(pin->angle)) { /* what was up points there */
        double up = (pin->angle - 90) * G_PI / 180;
        cairo_move_to(cairo, x, y);
        cairo_line_to(cairo, x + 26 * cos(up), y + 26 * sin(up));
        stroke(cairo, 3, WHITE);
    }
    if (chosen) {
        cairo_new_sub_path(cairo);
        cairo_arc(cairo, x, y, 10, 0, 2 * G_PI);
        stroke(cairo, 2, WHITE);
    }
    paint_dot(cairo, x, y, 6, colour);
}

static void paint_work(Preview *preview, cairo_t *cairo, int width, int height) {
    double w = cairo_image_surface_get_width(preview->work), h = cairo_image_surface_get_height(preview->work);
    double scale = MIN(width / w, height / h);
    cairo_save(cairo);
    cairo_translate(cairo, (width - w * scale) / 2, (height - h * scale) / 2);
    cairo_scale(cairo, scale, scale);
    cairo_set_source_surface(cairo, preview->work, 0, 0);
    cairo_paint(cairo);
    cairo_restore(cairo);
}

static void paint(cairo_t *cairo, int width, int height, gpointer data) {
    Preview *preview = data;
    const Picture *picture = preview->picture;
    cairo_set_source_rgb(cairo, 0.2, 0.2, 0.2);
    cairo_paint(cairo);
    if (preview->working && preview->work) {
        paint_work(preview, cairo, width, height);
        return;
    }
    if (!preview->seen || preview->view.width != width || preview->view.height != height) {
        GeglRectangle shown = part(picture);
        if (preview->fitted) preview->view = view_fit(&shown, width, height);
        preview->view.width = width;
        preview->view.height = height;
        forget(&preview->seen);
        forget(&preview->selection);
        if (!host_layer_exists(picture->image, picture->layer)) return;
        preview->seen = canvas_picture(picture, &preview->view);
        preview->selection = canvas_selection(picture, &preview->view);
    }
    double x = -preview->view.x * preview->view.scale, y = -preview->view.y * preview->view.scale;
    double w = picture->place.width * preview->view.scale, h = picture->place.height * preview->view.scale;
    paint_checks(cairo, MAX(x, 0), MAX(y, 0), MIN(w + MIN(x, 0), width), MIN(h + MIN(y, 0), height));
    cairo_set_source_surface(cairo, preview->seen, 0, 0);
    cairo_paint(cairo);
    if (preview->result) {
        canvas_result(cairo, picture, preview->result, preview->candidate, &preview->view);
        return;
    }
    paint_selection(preview, cairo, x, y, w, h);
    for (guint i = 0; i < preview->pins->len; i++)
        paint_pin(preview, cairo, &g_array_index(preview->pins, ReposePin, i), (int)i == preview->chosen);
}

/* ---- The mouse ---------------------------------------------------------------------------------------------- */

/* The nearest pin under the mouse. Where a pin goes can be taken hold of, and where it comes from. */
static int pin_at(const Preview *preview, double x, double y, Drag *end) {
    double nearest = NEAR;
    int found = NONE;
    for (guint i = 0; i < preview->pins->len; i++) {
        const ReposePin *pin = &g_array_index(preview->pins, ReposePin, i);
        double to = hypot(screen_x(preview, pin->to_x) - x, screen_y(preview, pin->to_y) - y);
        double from = hypot(screen_x(preview, pin->from_x) - x, screen_y(preview, pin->from_y) - y);
        if (MIN(to, from) > nearest) continue;
        nearest = MIN(to, from);
        *end = to <= from ? DRAG_TO : DRAG_FROM;
        found = (int)i;
    }
    return found;
}

static gboolean busy(const Preview *preview) { return preview->working || preview->result; }

void preview_pins_changed(Preview *preview) {
    if (preview->chosen >= (int)preview->pins->len) preview->chosen = NONE;
    gtk_widget_queue_draw(preview->area);
    if (preview->changed) preview->changed(preview->data);
}

void preview_remove_pin(Preview *preview, int index) {
    if (index < 0 || index >= (int)preview->pins->len) return;
    g_array_remove_index(preview->pins, (guint)index);
    preview->chosen = NONE;
    preview_pins_changed(preview);
}

static gboolean pressed(GtkWidget *area, GdkEventButton *event, gpointer data) {
    Preview *preview = data;
    gtk_widget_grab_focus(area);
    if (event->type != GDK_BUTTON_PRESS || preview->working || !preview->seen) return TRUE;
    preview->press_x = event->x;
    preview->press_y = event->y;
    preview->slipped = FALSE;
    preview->drag = event->button == 2 ? DRAG_VIEW : DRAG_NONE;
    if (event->button == 2 || busy(preview) || !preview->with_pins) return TRUE;
    int found = pin_at(preview, event->x, event->y, &preview->drag);
    if (event->button == 3) {
        preview->drag = DRAG_NONE;
        preview_remove_pin(preview, found);
    } else if (event->button == 1) {
        if (found == NONE && preview->pins->len < PINS_MOST) {
            ReposePin pin = {.from_x = (float)image_x(preview, event->x), .from_y = (float)image_y(preview, event->y), .angle = NAN};
            pin.to_x = pin.from_x;
            pin.to_y = pin.from_y;
            g_array_append_val(preview->pins, pin);
            found = (int)preview->pins->len - 1;
            preview->drag = DRAG_TO;
        }
        preview->chosen = found;
        preview_pins_changed(preview);
    }
    return TRUE;
}

static gboolean moved(GtkWidget *area, GdkEventMotion *event, gpointer data) {
    Preview *preview = data;
    (void)area;
    if (preview->drag == DRAG_NONE) return TRUE;
    if (!preview->slipped && hypot(event->x - preview->press_x, event->y - preview->press_y) < SLIP) return TRUE;
    preview->slipped = TRUE;
    if (preview->drag == DRAG_VIEW) {
        preview->fitted = FALSE;
        preview->view.x -= (event->x - preview->press_x) / preview->view.scale;
        preview->view.y -= (event->y - preview->press_y) / preview->view.scale;
        preview->press_x = event->x;
        preview->press_y = event->y;
        preview_refresh(preview);
    } else if (preview->chosen != NONE && !busy(preview)) {
        ReposePin *pin = &g_array_index(preview->pins, ReposePin, (guint)preview->chosen);
        *(preview->drag == DRAG_TO ? &pin->to_x : &pin->from_x) = (float)image_x(preview, event->x);
        *(preview->drag == DRAG_TO ? &pin->to_y : &pin->from_y) = (float)image_y(preview, event->y);
        preview_pins_changed(preview);
    }
    return TRUE;
}

static gboolean released(GtkWidget *area, GdkEventButton *event, gpointer data) {
    (void)area;
    (void)event;
    ((Preview *)data)->drag = DRAG_NONE;
    return TRUE;
}

static gboolean scrolled(GtkWidget *area, GdkEventScroll *event, gpointer data) {
    Preview *preview = data;
    (void)area;
    if (preview->working || !preview->seen) return TRUE;
    double factor = event->direction == GDK_SCROLL_UP ? 1.25 : event->direction == GDK_SCROLL_DOWN ? 0.8 : 1;
    double scale = CLAMP(preview->view.scale * factor, 0.01, 16);
    double x = preview->view.x + event->x / preview->view.scale, y = preview->view.y + event->y / preview->view.scale;
    preview->view.scale = scale; /* what is under the mouse stays there */
    preview->view.x = x - event->x / scale;
    preview->view.y = y - event->y / scale;
    preview->fitted = FALSE;
    preview_refresh(preview);
    return TRUE;
}

static gboolean key_pressed(GtkWidget *area, GdkEventKey *event, gpointer data) {
    Preview *preview = data;
    (void)area;
    if ((event->keyval != GDK_KEY_Delete && event->keyval != GDK_KEY_BackSpace) || busy(preview)) return FALSE;
    preview_remove_pin(preview, preview->chosen);
    return TRUE;
}

/* ---- The widget --------------------------------------------------------------------------------------------- */

Preview *preview_new(const Picture *picture, gboolean pins, PreviewChanged changed, gpointer data) {
    Preview *preview = g_new0(Preview, 1);
    preview->picture = picture;
    preview->with_pins = pins;
    preview->changed = changed;
    preview->data = data;
    preview->pins = g_array_new(FALSE, FALSE, sizeof(ReposePin));
    preview->chosen = NONE;
    preview->fitted = TRUE;
    preview->area = gtk_drawing_area_new();
    gtk_widget_set_can_focus(preview->area, TRUE);
    gtk_widget_set_size_request(preview->area, 320, 320);
    gtk_widget_add_events(preview->area, GDK_BUTTON_PRESS_MASK | GDK_BUTTON_RELEASE_MASK | GDK_BUTTON_MOTION_MASK |
                                             GDK_SCROLL_MASK | GDK_KEY_PRESS_MASK);
    ui_on_paint(preview->area, paint, preview);
    g_signal_connect(preview->area, "button-press-event", G_CALLBACK(pressed), preview);
    g_signal_connect(preview->area, "button-release-event", G_CALLBACK(released), preview);
    g_signal_connect(preview->area, "motion-notify-event", G_CALLBACK(moved), preview);
    g_signal_connect(preview->area, "scroll-event", G_CALLBACK(scrolled), preview);
    g_signal_connect(preview->area, "key-press-event", G_CALLBACK(key_pressed), preview);
    return preview;
}

void preview_free(Preview *preview) {
    forget(&preview->seen);
    forget(&preview->selection);
    forget(&preview->work);
    g_array_free(preview->pins, TRUE);
    g_free(preview);
}

GtkWidget *preview_widget(Preview *preview) { return preview->area; }

GArray *preview_pins(Preview *preview) { return preview->pins; }

int preview_chosen(const Preview *preview) { return preview->chosen; }

void preview_work(Preview *preview, const ReposeJob *job) {
    forget(&preview->work);
    preview->working = job != NULL;
    if (job) preview->work = canvas_preview(job);
    gtk_widget_queue_draw(preview->area);
}

void preview_result(Preview *preview, const ReposeJob *job, guint candidate) {
    preview->result = job;
    preview->candidate = candidate;
    gtk_widget_queue_draw(preview->area);
}
