#include "dialog.h"

#include <string.h>

#include "canvas.h"
#include "engine.h"
#include "host.h"
#include "toolkit.h"
#include "words.h"
#include "work.h"

#define POLL_MS 40
/* How often it is looked whether the image is still there. */
#define WATCH_MS 700
/* What the window has above and below the panel, with the title, in pixels. */
#define AROUND 170
/* A side of a candidate's picture. */
#define CHOICE 104

typedef struct Frame {
    Dialog dialog;
    const Panel *panel;
    GtkWidget *window, *side, *scrolled, *go, *message, *icon, *said, *running, *bar, *stop, *choices, *choice_row;
    GMainLoop *loop;
    GArray *layers;
    GError **error;
    RunEnd end;
    ReposeJob *job;
    uint64_t preview_serial;
    guint poll;
    guint watch;
    guint candidates; /* of a finished job that the user has yet to choose from */
    int candidate;
    gboolean closing;
} Frame;

static void say(Frame *frame, const char *icon, const char *sentence) {
    gtk_label_set_text(GTK_LABEL(frame->message), sentence ? sentence : "");
    if (sentence) gtk_image_set_from_icon_name(GTK_IMAGE(frame->icon), icon, GTK_ICON_SIZE_BUTTON);
    gtk_widget_set_visible(frame->icon, sentence != NULL);
}

void dialog_say(Dialog *dialog, const char *sentence) { say(dialog->frame, "dialog-information", sentence); }

/* What the dialog does; with `percent` of the work at hand, for those who look at the list of windows meanwhile. */
static void entitle(Frame *frame, int percent) {
    char *title = g_strdup(_(PROCEDURES[frame->dialog.work].menu));
    if (g_str_has_suffix(title, "…")) title[strlen(title) - strlen("…")] = '\0';
    char *whole = percent < 0 ? g_strdup(title) : g_strdup_printf("%d %% — %s", percent, title);
    gtk_window_set_title(GTK_WINDOW(frame->window), whole);
    g_free(whole);
    g_free(title);
}

/* What can be pressed now, and how much room the panel takes. */
static void update(Frame *frame) {
    ui_scroll_fit(frame->scrolled, frame->side, AROUND);
    gboolean working = frame->job && !frame->candidates;
    char *problem = frame->job ? NULL : frame->panel->problem(&frame->dialog);
    gtk_widget_set_visible(frame->running, working);
    gtk_widget_set_visible(frame->said, !working);
    gtk_widget_set_visible(frame->choices, frame->candidates > 0);
    gtk_widget_set_sensitive(frame->side, !frame->job);
    gtk_widget_set_sensitive(frame->go, !working && !problem);
    gtk_button_set_label(GTK_BUTTON(frame->go), frame->candidates ? _("Use This One") : _(frame->panel->go));
    if (problem) say(frame, "dialog-information", problem);
    g_free(problem);
}

void dialog_changed(Dialog *dialog) {
    if (!dialog->frame->go || dialog->frame->job) return;
    say(dialog->frame, NULL, NULL);
    update(dialog->frame);
}

void dialog_control_changed(GtkWidget *control, Dialog *dialog) {
    (void)control;
    dialog_changed(dialog);
}

static void pins_changed(gpointer data) {
    Dialog *dialog = data;
    if (dialog->frame->panel->pins_changed) dialog->frame->panel->pins_changed(dialog);
}

static void finish(Frame *frame, RunEnd end) {
    frame->end = end;
    g_main_loop_quit(frame->loop);
}

static void forget_job(Frame *frame) {
    preview_work(frame->dialog.preview, NULL);
    preview_result(frame->dialog.preview, NULL, 0);
    engine_api()->job_free(frame->job);
    frame->job = NULL;
    frame->candidates = 0;
    gtk_container_foreach(GTK_CONTAINER(frame->choice_row), (GtkCallback)(void (*)(void))gtk_widget_destroy, NULL);
}

/* Shows what went wrong, here and the way GIMP does; the user can try again. */
static void fail(Frame *frame, GError *error) {
    gboolean stopped = g_error_matches(error, SHIM_ERROR, REPOSE_CANCELLED);
    update(frame);
    say(frame, stopped ? "dialog-information" : "dialog-warning", stopped ? _("Stopped. Nothing was changed.") : error->message);
    if (!stopped) host_message(error->message);
    g_error_free(error);
}

/* ---- Candidates --------------------------------------------------------------------------------------------- */

static void insert(Frame *frame, int candidate) {
    GError *error = NULL;
    gboolean whole = work_insert(frame->dialog.picture, frame->job, candidate, frame->layers, &error);
    forget_job(frame);
    if (whole)
        finish(frame, RUN_DONE);
    else
        fail(frame, error);
}

static void choice_toggled(GtkToggleButton *button, Frame *frame) {
    if (!gtk_toggle_button_get_active(button) || !frame->job) return;
    frame->candidate = GPOINTER_TO_INT(g_object_get_data(G_OBJECT(button), "candidate"));
    preview_result(frame->dialog.preview, frame->job, (guint)frame->candidate);
}

static void discard_clicked(GtkWidget *button, Frame *frame) {
    (void)button;
    forget_job(frame);
    update(frame);
}

static void paint_choice(cairo_t *cairo, int width, int height, gpointer data) {
    cairo_surface_t *picture = data;
    cairo_set_source_surface(cairo, picture, (width - CHOICE) / 2, (height - CHOICE) / 2);
    cairo_paint(cairo);
}

/* A picture of one candidate, cut to where it differs from the layer. */
static cairo_surface_t *choice_picture(Frame *frame, guint candidate, const GeglRectangle *where) {
    View view = view_fit(where, CHOICE, CHOICE);
    cairo_surface_t *picture = canvas_picture(frame->dialog.picture, &view);
    cairo_t *cairo = cairo_create(picture);
    canvas_result(cairo, frame->dialog.picture, frame->job, candidate, &view);
    cairo_destroy(cairo);
    return picture;
}

static void offer(Frame *frame, guint layer_count) {
    GeglRectangle where = {0, 0, 0, 0};
    GtkWidget *first = NULL;
    for (guint i = 0; i < layer_count; i++) {
        ReposeLayer layer = work_layer(frame->job, i);
        GeglRectangle at = {(int)layer.x, (int)layer.y, (int)layer.width, (int)layer.height};
        gegl_rectangle_bounding_box(&where, &where, &at);
    }
    for (guint i = 0; i < frame->candidates; i++) {
        GtkWidget *choice = gtk_radio_button_new_from_widget(first ? GTK_RADIO_BUTTON(first) : NULL);
        GtkWidget *area = gtk_drawing_area_new();
        cairo_surface_t *picture = choice_picture(frame, i, &where);
        gtk_toggle_button_set_mode(GTK_TOGGLE_BUTTON(choice), FALSE); /* a button, not a dot */
        gtk_widget_set_size_request(area, CHOICE, CHOICE);
        ui_on_paint(area, paint_choice, picture);
        g_object_set_data(G_OBJECT(choice), "candidate", GINT_TO_POINTER(i));
        g_object_set_data_full(G_OBJECT(area), "picture", picture, (GDestroyNotify)cairo_surface_destroy);
        gtk_container_add(GTK_CONTAINER(choice), area);
        gtk_box_pack_start(GTK_BOX(frame->choice_row), choice, FALSE, FALSE, 0);
        g_signal_connect(choice, "toggled", G_CALLBACK(choice_toggled), frame);
        if (!first) first = choice;
    }
    gtk_widget_show_all(frame->choice_row);
    frame->candidate = 0;
    preview_work(frame->dialog.preview, NULL);
    preview_result(frame->dialog.preview, frame->job, 0);
    update(frame);
    say(frame, "dialog-information", _("Choose one of the results."));
}

/* ---- The job ------------------------------------------------------------------------------------------------ */

static void learned(Frame *frame) {
    char *sentence = g_strdup_printf(_("“%s” was learned. Give it a new pose with Filters ▸ Repose ▸ Re-pose Subject."),
                                     frame->dialog.settings->subject);
    forget_job(frame);
    frame->end = RUN_DONE; /* whatever comes after it */
    update(frame);
    say(frame, "dialog-information", sentence);
    gtk_widget_set_sensitive(frame->go, FALSE); /* until something is changed: the same again is a slip */
    g_free(sentence);
}

static void ended(Frame *frame, const ReposeJobStatus *status) {
    GError *error = NULL;
    if (frame->closing) {
        forget_job(frame);
        g_main_loop_quit(frame->loop);
    } else if (status->state != REPOSE_STATE_DONE) {
        work_error(frame->job, status, &error);
        forget_job(frame);
        fail(frame, error);
    } else if (frame->dialog.work == WORK_LEARN) {
        learned(frame);
    } else if (frame->dialog.settings->candidates > 1) {
        frame->candidates = (guint)frame->dialog.settings->candidates;
        offer(frame, status->layer_count);
    } else {
        insert(frame, 0);
    }
}

static gboolean poll(gpointer data) {
    Frame *frame = data;
    ReposeJobStatus status = work_status(frame->job);
    char *line = work_line(&status);
    gtk_progress_bar_set_fraction(GTK_PROGRESS_BAR(frame->bar), work_fraction(&status));
    gtk_progress_bar_set_text(GTK_PROGRESS_BAR(frame->bar), line);
    g_free(line);
    entitle(frame, status.state < REPOSE_STATE_DONE ? (int)(100 * work_fraction(&status)) : -1);
    if (status.preview_serial > frame->preview_serial) {
        frame->preview_serial = status.preview_serial;
        preview_work(frame->dialog.preview, frame->job);
    }
    if (status.state < REPOSE_STATE_DONE) return TRUE;
    frame->poll = 0;
    ended(frame, &status);
    return FALSE;
}

static void start(Frame *frame) {
    GError *error = NULL;
    Dialog *dialog = &frame->dialog;
    frame->panel->collect(dialog);
    if (picture_whole(dialog->picture, &error) && picture_select(dialog->picture, &error))
        frame->job = work_start(dialog->work, dialog->picture, dialog->settings, &error);
    if (!frame->job) {
        fail(frame, error);
        return;
    }
    frame->preview_serial = 0;
    gtk_widget_set_sensitive(frame->stop, TRUE);
    preview_work(dialog->preview, frame->job);
    frame->poll = g_timeout_add(POLL_MS, poll, frame);
    update(frame);
}

static void stop_clicked(GtkWidget *button, Frame *frame) {
    gtk_widget_set_sensitive(button, FALSE);
    if (frame->job) engine_api()->job_cancel(frame->job);
}

/* An image that was closed takes the dialog with it. This also ends the process when GIMP is gone. */
static gboolean watch(gpointer data) {
    Frame *frame = data;
    if (host_image_exists(frame->dialog.picture->image)) return TRUE;
    frame->watch = 0;
    if (frame->job) picture_whole(frame->dialog.picture, frame->error);
    frame->end = frame->job ? RUN_FAILED : RUN_CANCELLED;
    g_main_loop_quit(frame->loop);
    return FALSE;
}

/* ---- The window --------------------------------------------------------------------------------------------- */

static void responded(GtkWidget *window, int response, Frame *frame) {
    (void)window;
    if (response == GTK_RESPONSE_OK) {
        if (frame->candidates)
            insert(frame, frame->candidate);
        else if (!frame->job)
            start(frame);
    } else if (frame->job && !frame->candidates) {
        frame->closing = TRUE; /* when the job has stopped */
        stop_clicked(frame->stop, frame);
    } else {
        g_main_loop_quit(frame->loop);
    }
}

/* The selection may be another one when the user comes back from the image. */
static gboolean focused(GtkWidget *window, GdkEvent *event, Frame *frame) {
    Picture *picture = frame->dialog.picture;
    (void)window;
    (void)event;
    if (!frame->job && picture_whole(picture, NULL)) {
        picture_select(picture, NULL);
        preview_refresh(frame->dialog.preview);
        update(frame);
    }
    return FALSE;
}

static void build_status(Frame *frame, GtkWidget *column) {
    GtkWidget *status = ui_row(0);
    frame->said = ui_row(6);
    frame->icon = gtk_image_new();
    frame->message = gtk_label_new(NULL);
    gtk_label_set_line_wrap(GTK_LABEL(frame->message), TRUE);
    gtk_label_set_selectable(GTK_LABEL(frame->message), TRUE);
    gtk_widget_set_can_focus(frame->message, FALSE);
    ui_label_width(frame->message, 110);
    ui_label_left(frame->message);
    gtk_box_pack_start(GTK_BOX(frame->said), frame->icon, FALSE, FALSE, 0);
    gtk_box_pack_start(GTK_BOX(frame->said), frame->message, TRUE, TRUE, 0);
    frame->running = ui_row(6);
    frame->bar = ui_progress();
    frame->stop = gtk_button_new_with_label(_("Stop"));
    gtk_box_pack_start(GTK_BOX(frame->running), frame->bar, TRUE, TRUE, 0);
    gtk_box_pack_start(GTK_BOX(frame->running), frame->stop, FALSE, FALSE, 0);
    g_signal_connect(frame->stop, "clicked", G_CALLBACK(stop_clicked), frame);
    gtk_widget_set_size_request(status, -1, 34);
    gtk_box_pack_start(GTK_BOX(status), frame->said, TRUE, TRUE, 0);
    gtk_box_pack_start(GTK_BOX(status), frame->running, TRUE, TRUE, 0);
    gtk_box_pack_start(GTK_BOX(column), status, FALSE, FALSE, 0);
}

static void build_choices(Frame *frame, GtkWidget *left) {
    GtkWidget *scroll = gtk_scrolled_window_new(NULL, NULL), *discard = gtk_button_new_with_label(_("Discard"));
    frame->choices = ui_row(6);
    frame->choice_row = ui_row(6);
    ui_scroll_add(scroll, frame->choice_row);
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(scroll), GTK_POLICY_AUTOMATIC, GTK_POLICY_NEVER);
    gtk_widget_set_size_request(scroll, -1, CHOICE + 32);
    gtk_box_pack_start(GTK_BOX(frame->choices), scroll, TRUE, TRUE, 0);
    GtkWidget *beside = ui_column(0); /* keeps the button from growing as high as the pictures */
    gtk_box_pack_start(GTK_BOX(beside), discard, FALSE, FALSE, 0);
    gtk_box_pack_start(GTK_BOX(frame->choices), beside, FALSE, FALSE, 0);
    g_signal_connect(discard, "clicked", G_CALLBACK(discard_clicked), frame);
    gtk_box_pack_start(GTK_BOX(left), frame->choices, FALSE, FALSE, 0);
}

static void build(Frame *frame) {
    Dialog *dialog = &frame->dialog;
    frame->window = ui_dialog("", PROCEDURES[dialog->work].name);
    entitle(frame, -1);
    gtk_dialog_add_button(GTK_DIALOG(frame->window), _("Close"), GTK_RESPONSE_CLOSE);
    GtkWidget *go = gtk_dialog_add_button(GTK_DIALOG(frame->window), _(frame->panel->go), GTK_RESPONSE_OK);
    gtk_dialog_set_default_response(GTK_DIALOG(frame->window), GTK_RESPONSE_OK);
    gtk_window_set_default_size(GTK_WINDOW(frame->window), dialog->work == WORK_POSE ? 1000 : 840, dialog->work == WORK_POSE ? 660 : 500);
    ui_transient(frame->window);

    GtkWidget *column = ui_column(8), *row = ui_row(12), *left = ui_column(6);
    gtk_container_set_border_width(GTK_CONTAINER(column), 10);
    gtk_box_pack_start(GTK_BOX(gtk_dialog_get_content_area(GTK_DIALOG(frame->window))), column, TRUE, TRUE, 0);
    gtk_box_pack_start(GTK_BOX(column), row, TRUE, TRUE, 0);
    GtkWidget *rim = gtk_frame_new(NULL);
    gtk_frame_set_shadow_type(GTK_FRAME(rim), GTK_SHADOW_IN);
    gtk_container_add(GTK_CONTAINER(rim), preview_widget(dialog->preview));
    gtk_box_pack_start(GTK_BOX(left), rim, TRUE, TRUE, 0);
    GtkWidget *hint = gtk_label_new(NULL);
    char *markup = g_markup_printf_escaped("<small>%s</small>", _("Scroll to zoom; drag with the middle button to see another part."));
    gtk_label_set_markup(GTK_LABEL(hint), markup);
    g_free(markup);
    ui_label_left(hint);
    gtk_box_pack_start(GTK_BOX(left), hint, FALSE, FALSE, 0);
    build_choices(frame, left);
    gtk_box_pack_start(GTK_BOX(row), left, TRUE, TRUE, 0);
    frame->side = ui_column(10);
    frame->scrolled = gtk_scrolled_window_new(NULL, NULL);
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(frame->scrolled), GTK_POLICY_NEVER, GTK_POLICY_AUTOMATIC);
    ui_scroll_add(frame->scrolled, frame->side);
    ui_keep_narrow(frame->scrolled);
    gtk_box_pack_start(GTK_BOX(row), frame->scrolled, FALSE, FALSE, 0);
    build_status(frame, column);
    frame->panel->fill(dialog, frame->side);
    gtk_widget_show_all(column);
    frame->go = go;
    update(frame);
    g_signal_connect(frame->window, "response", G_CALLBACK(responded), frame);
    g_signal_connect(frame->window, "delete-event", G_CALLBACK(gtk_true), NULL); /* its response has been heard */
    g_signal_connect(frame->window, "focus-in-event", G_CALLBACK(focused), frame);
    gtk_widget_show(frame->window);
    gtk_widget_grab_focus(dialog->first ? dialog->first : preview_widget(dialog->preview));
}

RunEnd dialog_run(Work work, Picture *picture, Settings *settings, GArray *layers, GError **error) {
    static const Panel *const PANELS[WORKS] = {&PANEL_LEARN, &PANEL_POSE, &PANEL_ERASE};
    Frame frame = {.panel = PANELS[work], .layers = layers, .error = error, .end = RUN_CANCELLED};
    frame.dialog = (Dialog){.work = work, .picture = picture, .settings = settings, .frame = &frame};
    if (!engine_get(host_executable(), error)) return RUN_FAILED; /* before the user has entered anything */
    ui_init();
    frame.loop = g_main_loop_new(NULL, FALSE);
    frame.dialog.preview = preview_new(picture, frame.panel->pins, pins_changed, &frame.dialog);
    build(&frame);
    frame.watch = g_timeout_add(WATCH_MS, watch, &frame);
    g_main_loop_run(frame.loop);
    if (frame.watch) g_source_remove(frame.watch);
    if (frame.poll) g_source_remove(frame.poll);
    if (frame.job) forget_job(&frame);
    frame.panel->close(&frame.dialog);
    gtk_widget_destroy(frame.window);
    preview_free(frame.dialog.preview);
    g_main_loop_unref(frame.loop);
    host_redraw();
    return frame.end;
}
