/* SPDX-License-Identifier: MIT */
/*
 * A desktop window that goes on with your text, as it comes, while the window stays alive (GTK 4):
 *
 *     cc chat.c $(pkg-config --cflags --libs bitnet gtk4) -o chat
 *     ./chat model.bitnet
 *
 * One thread computes, and GTK's thread shows: each piece of text is sent to GTK's main loop with g_idle_add, and the
 * Stop button cancels the generation, which any thread may do.
 *
 * For tests, --say TEXT enters a text and clicks the button, --stop clicks it again at the first piece, and --picture
 * FILE saves the window as PNG when the text has ended, prints the text and leaves.
 */
#include <bitnet.h>
#include <gtk/gtk.h>
#include <stdio.h>

typedef struct {
  bitnet_model* model;
  const char* model_path;
  char* say;
  char* picture;
  gboolean stop_at_once;
  int status;
  GtkApplication* application;
  GtkWidget *window, *button, *entry, *view, *label;
  GtkTextBuffer* text;
  /* Guards `generation`, so that it is not cancelled when it has just been freed. */
  GMutex mutex;
  bitnet_generation* generation; /* null: none runs */
  GThread* thread;               /* null: none runs; GTK's thread alone looks at it */
  gboolean stopped;
} App;

/* What the computing thread sends to GTK's. */
typedef struct {
  App* app;
  char* text;
} News;

/* ---------------------------------------------------- the computing thread */

static void send(App* app, GSourceFunc show, const char* text) {
  News* news = g_new(News, 1);
  news->app = app;
  news->text = g_strdup(text);
  g_idle_add(show, news);
}

static gboolean show_piece(gpointer data);
static gboolean show_end(gpointer data);

/* Returns a message, or null if all went well or the user stopped it. */
static const char* write_text(App* app, bitnet_session* session, const char* prompt) {
  const bitnet_sampler_options sampler = {.size = sizeof sampler, .seed = 1811, .temperature = 0.8f, .min_p = 0.05f};
  const bitnet_generate_options options = {.size = sizeof options, .max_tokens = 250, .sampler = &sampler};
  bitnet_generation* generation = NULL;
  if (bitnet_generation_start(session, prompt, BITNET_NUL_TERMINATED, &options, &generation) != BITNET_OK) {
    return bitnet_last_error();
  }
  g_mutex_lock(&app->mutex);
  app->generation = generation;
  if (app->stopped) bitnet_generation_cancel(generation);
  g_mutex_unlock(&app->mutex);

  bitnet_piece piece = {.size = sizeof piece};
  bitnet_status status;
  do {
    status = bitnet_generation_next(generation, &piece);
    if (status >= 0 && piece.length > 0) send(app, show_piece, piece.text);
  } while (status == BITNET_OK);

  g_mutex_lock(&app->mutex);
  app->generation = NULL;
  g_mutex_unlock(&app->mutex);
  bitnet_generation_free(generation);
  return status == BITNET_END || status == BITNET_ERROR_CANCELLED ? NULL : bitnet_last_error();
}

typedef struct {
  App* app;
  char* prompt;
} Task;

static gpointer compute(gpointer data) {
  Task* task = data;
  App* app = task->app;
  bitnet_session* session = NULL;
  const char* failure = NULL;
  if ((app->model == NULL && bitnet_open(app->model_path, NULL, &app->model) != BITNET_OK) ||
      bitnet_session_create(app->model, NULL, &session) != BITNET_OK) {
    failure = bitnet_last_error();
  } else {
    failure = write_text(app, session, task->prompt);
  }
  send(app, show_end, failure);
  bitnet_session_free(session);
  g_free(task->prompt);
  g_free(task);
  return NULL;
}

/* ------------------------------------------------------------ GTK's thread */

static void append(App* app, const char* text) {
  GtkTextIter end;
  gtk_text_buffer_get_end_iter(app->text, &end);
  gtk_text_buffer_insert(app->text, &end, text, -1);
  GtkTextMark* mark = gtk_text_buffer_get_insert(app->text);
  gtk_text_buffer_get_end_iter(app->text, &end);
  gtk_text_buffer_move_mark(app->text, mark, &end);
  gtk_text_view_scroll_mark_onscreen(GTK_TEXT_VIEW(app->view), mark);
}

static gboolean click(gpointer data) {
  App* app = data;
  g_signal_emit_by_name(app->button, "clicked");
  return G_SOURCE_REMOVE;
}

static gboolean show_piece(gpointer data) {
  News* news = data;
  append(news->app, news->text);
  if (news->app->stop_at_once && !news->app->stopped) click(news->app);
  g_free(news->text);
  g_free(news);
  return G_SOURCE_REMOVE;
}

/* Draws the window's content to the file that --picture names, and writes the text to stdout. */
static gboolean leave_with_picture(gpointer data) {
  App* app = data;
  const int width = gtk_widget_get_width(app->window), height = gtk_widget_get_height(app->window);
  GdkPaintable* paintable = gtk_widget_paintable_new(app->window);
  GtkSnapshot* snapshot = gtk_snapshot_new();
  gdk_paintable_snapshot(paintable, snapshot, width, height);
  GskRenderNode* node = gtk_snapshot_free_to_node(snapshot);
  GskRenderer* renderer = gtk_native_get_renderer(GTK_NATIVE(app->window));
  GdkTexture* texture = gsk_renderer_render_texture(renderer, node, NULL);
  if (!gdk_texture_save_to_png(texture, app->picture)) app->status = 1;
  g_object_unref(texture);
  gsk_render_node_unref(node);
  g_object_unref(paintable);

  GtkTextIter start, end;
  gtk_text_buffer_get_bounds(app->text, &start, &end);
  char* text = gtk_text_buffer_get_text(app->text, &start, &end, FALSE);
  puts(text);
  g_free(text);
  g_application_quit(G_APPLICATION(app->application));
  return G_SOURCE_REMOVE;
}

static gboolean show_end(gpointer data) {
  News* news = data;
  App* app = news->app;
  if (app->thread != NULL) g_thread_join(app->thread);
  app->thread = NULL;
  if (news->text != NULL) app->status = 1;
  gtk_label_set_text(GTK_LABEL(app->label), news->text != NULL ? news->text : app->stopped ? "Stopped." : "");
  gtk_button_set_label(GTK_BUTTON(app->button), "Write");
  gtk_widget_set_sensitive(app->button, TRUE);
  append(app, "\n\n");
  /* A moment later, when the last text has been laid out and drawn. */
  if (app->picture != NULL) g_timeout_add(500, leave_with_picture, app);
  g_free(news->text);
  g_free(news);
  return G_SOURCE_REMOVE;
}

static void stop(App* app) {
  g_mutex_lock(&app->mutex);
  app->stopped = TRUE;
  if (app->generation != NULL) bitnet_generation_cancel(app->generation);
  g_mutex_unlock(&app->mutex);
}

/* The button, and Enter: writes, or stops what is being written. */
static void on_button(GtkWidget* widget, gpointer data) {
  (void)widget;
  App* app = data;
  if (app->thread != NULL) {
    gtk_widget_set_sensitive(app->button, FALSE);
    stop(app);
    return;
  }
  Task* task = g_new(Task, 1);
  task->app = app;
  task->prompt = g_strdup(gtk_editable_get_text(GTK_EDITABLE(app->entry)));
  append(app, task->prompt);
  app->stopped = FALSE;
  gtk_label_set_text(GTK_LABEL(app->label), "Writing…");
  gtk_button_set_label(GTK_BUTTON(app->button), "Stop");
  app->thread = g_thread_new("compute", compute, task);
}

static void on_activate(GtkApplication* application, gpointer data) {
  App* app = data;
  app->window = gtk_application_window_new(application);
  gtk_window_set_title(GTK_WINDOW(app->window), "libbitnet");
  gtk_window_set_default_size(GTK_WINDOW(app->window), 640, 420);

  app->view = gtk_text_view_new();
  gtk_text_view_set_editable(GTK_TEXT_VIEW(app->view), FALSE);
  gtk_text_view_set_wrap_mode(GTK_TEXT_VIEW(app->view), GTK_WRAP_WORD_CHAR);
  gtk_text_view_set_left_margin(GTK_TEXT_VIEW(app->view), 12);
  gtk_text_view_set_right_margin(GTK_TEXT_VIEW(app->view), 12);
  gtk_text_view_set_top_margin(GTK_TEXT_VIEW(app->view), 12);
  app->text = gtk_text_view_get_buffer(GTK_TEXT_VIEW(app->view));
  GtkWidget* scrolled = gtk_scrolled_window_new();
  gtk_widget_set_vexpand(scrolled, TRUE);
  gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(scrolled), app->view);

  app->entry = gtk_entry_new();
  gtk_entry_set_placeholder_text(GTK_ENTRY(app->entry), "How does it begin?");
  gtk_widget_set_hexpand(app->entry, TRUE);
  app->button = gtk_button_new_with_label("Write");
  g_signal_connect(app->button, "clicked", G_CALLBACK(on_button), app);
  g_signal_connect(app->entry, "activate", G_CALLBACK(on_button), app);
  GtkWidget* row = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
  gtk_box_append(GTK_BOX(row), app->entry);
  gtk_box_append(GTK_BOX(row), app->button);

  app->label = gtk_label_new("");
  gtk_label_set_xalign(GTK_LABEL(app->label), 0);
  GtkWidget* box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 6);
  GtkWidget* const rows[] = {scrolled, row, app->label};
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) gtk_box_append(GTK_BOX(box), rows[i]);
  for (size_t i = 1; i < G_N_ELEMENTS(rows); i++) {
    gtk_widget_set_margin_start(rows[i], 6);
    gtk_widget_set_margin_end(rows[i], 6);
  }
  gtk_widget_set_margin_bottom(app->label, 6);
  gtk_window_set_child(GTK_WINDOW(app->window), box);
  gtk_window_present(GTK_WINDOW(app->window));
  gtk_widget_grab_focus(app->entry);

  if (app->say != NULL) {
    gtk_editable_set_text(GTK_EDITABLE(app->entry), app->say);
    g_timeout_add(500, click, app); /* when the window has been drawn */
  }
}

int main(int argc, char** argv) {
  App app = {.model = NULL};
  const GOptionEntry entries[] = {
      {"say", 0, 0, G_OPTION_ARG_STRING, &app.say, "Enter a text and click the button", "TEXT"},
      {"stop", 0, 0, G_OPTION_ARG_NONE, &app.stop_at_once, "Click it again at the first piece of text", NULL},
      {"picture", 0, 0, G_OPTION_ARG_FILENAME, &app.picture, "Save the window when the text has ended, and leave",
       "FILE"},
      {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL}};
  GOptionContext* options = g_option_context_new("MODEL");
  g_option_context_add_main_entries(options, entries, NULL);
  GError* error = NULL;
  if (!g_option_context_parse(options, &argc, &argv, &error) || argc != 2) {
    fprintf(stderr, "chat: %s\n", error != NULL ? error->message : "which model? chat --help tells more");
    return 2;
  }
  app.model_path = argv[1];
  g_mutex_init(&app.mutex);

  app.application = gtk_application_new(NULL, G_APPLICATION_NON_UNIQUE);
  g_signal_connect(app.application, "activate", G_CALLBACK(on_activate), &app);
  const int status = g_application_run(G_APPLICATION(app.application), 1, argv);

  /* The window was closed, perhaps in the midst of a text. */
  stop(&app);
  if (app.thread != NULL) g_thread_join(app.thread);
  g_object_unref(app.application);
  g_option_context_free(options);
  bitnet_close(app.model);
  return status != 0 ? status : app.status;
}
