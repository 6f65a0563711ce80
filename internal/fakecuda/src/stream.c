// Streams, events and graphs. Work is done as late as the rules allow: when
// somebody waits for it, and no more than that somebody waits for.

#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "fake.h"

struct list {
	struct op *ops;
	size_t n, room;
};

struct stream {
	struct stream *next;
	struct list queue;
	int captured;
	long asked, joined; // in the capture: ops asked of it, and how many a waiter has seen
};

struct event {
	struct event *next;
	int timed, captured;
	struct stream *where; // of the last recording
	long mark, done;      // recordings asked for, and the last one passed
	long asked;           // of the stream, at a recording in a capture
	double ms;
};

struct graph {
	struct graph *next;
	struct list list;
	int executable;
};

static struct stream standard, *streams;
static struct event *events;
static struct graph *graphs;
static struct {
	struct stream *origin; // NULL: nothing is captured
	struct list list;
	int invalid;
} capture;
static double clock_ms;

static void push(struct list *l, struct op op) {
	if (l->n == l->room) {
		l->room = l->room * 2 + 8;
		l->ops = realloc(l->ops, l->room * sizeof *l->ops);
		if (l->ops == NULL) abort();
	}
	l->ops[l->n++] = op;
}

void op_free(struct op *op) {
	free(op->owned);
	op->owned = NULL;
}

static void list_free(struct list *l) {
	for (size_t i = 0; i < l->n; i++) op_free(&l->ops[i]);
	free(l->ops);
	*l = (struct list){0};
}

struct stream *stream_of(void *handle) {
	if (handle == NULL) return &standard;
	for (struct stream *s = streams; s != NULL; s = s->next)
		if (s == handle) return s;
	return NULL;
}

static struct event *event_of(void *handle) {
	for (struct event *e = events; e != NULL; e = e->next)
		if (e == handle) return e;
	return NULL;
}

static struct graph *graph_of(void *handle, int executable) {
	for (struct graph *g = graphs; g != NULL; g = g->next)
		if (g == handle && g->executable == executable) return g;
	return NULL;
}

int capturing(void) { return capture.origin != NULL; }

void invalidate_capture(void) { capture.invalid = 1; }

static void capture_end(void) {
	for (struct stream *s = streams; s != NULL; s = s->next) s->captured = 0;
	for (struct event *e = events; e != NULL; e = e->next) e->captured = 0;
	capture.origin = NULL;
	capture.invalid = 0;
	capture.list = (struct list){0};
}

static CUresult step(struct stream *s);

static CUresult perform(struct op *op) {
	clock_ms += 0.001 + op->ms;
	switch (op->kind) {
	case COPY: memmove(op->to, op->from, op->bytes); break;
	case FILL: memset(op->to, op->value, op->bytes); break;
	case KERNEL:
		if (op->run != NULL) {
			int code = op->run(&op->launch);
			if (code != 0) return lose(code);
		}
		if (check_guards() != SUCCESS) return lose(ILLEGAL_ADDRESS);
		break;
	case RECORD:
		op->event->done = op->mark;
		op->event->ms = clock_ms;
		break;
	case WAIT:
		while (op->event->done < op->mark && op->event->where->queue.n > 0) {
			CUresult result = step(op->event->where);
			if (result != SUCCESS) return result;
		}
	}
	return SUCCESS;
}

// step does the oldest op of a stream.
static CUresult step(struct stream *s) {
	struct op op = s->queue.ops[0];
	memmove(s->queue.ops, s->queue.ops + 1, --s->queue.n * sizeof op);
	count.ops--;
	CUresult result = perform(&op);
	op_free(&op);
	return is_lost() ? is_lost() : result;
}

CUresult drain(struct stream *s) {
	CUresult result = is_lost();
	while (result == SUCCESS && s->queue.n > 0) result = step(s);
	return result;
}

CUresult drain_all(void) {
	CUresult result = drain(&standard);
	for (struct stream *s = streams; result == SUCCESS && s != NULL; s = s->next) result = drain(s);
	return result;
}

CUresult submit(struct stream *s, struct op op) {
	if (s->captured && capture.invalid) {
		op_free(&op);
		return CAPTURE_INVALIDATED;
	}
	if (s->captured) {
		s->asked++;
		push(&capture.list, op);
	} else {
		count.ops++;
		push(&s->queue, op);
	}
	return SUCCESS;
}

CUresult cuStreamCreate(void **handle, unsigned flags) {
	ENTER(2);
	if (handle == NULL || flags > 1) return leave(wrong(INVALID_VALUE, "flags %u", flags));
	struct stream *s = calloc(1, sizeof *s);
	s->next = streams;
	streams = s;
	count.streams++;
	*handle = s;
	return leave(SUCCESS);
}

CUresult cuStreamDestroy_v2(void *handle) {
	ENTER(2);
	struct stream *s = stream_of(handle);
	if (handle == NULL || s == NULL) return leave(wrong(INVALID_HANDLE, "no stream %p", handle));
	if (s->captured) { // its capture comes to nothing
		list_free(&capture.list);
		capture_end();
	}
	CUresult result = drain(s);
	for (struct event *e = events; e != NULL; e = e->next)
		if (e->where == s) e->where = &standard; // it is passed
	struct stream **at = &streams;
	while (*at != s) at = &(*at)->next;
	*at = s->next;
	count.ops -= (long)s->queue.n;
	list_free(&s->queue);
	free(s);
	count.streams--;
	return leave(result);
}

CUresult cuStreamSynchronize(void *handle) {
	ENTER(3);
	struct stream *s = stream_of(handle);
	if (s == NULL) return leave(wrong(INVALID_HANDLE, "no stream %p", handle));
	return leave(drain(s));
}

CUresult cuStreamWaitEvent(void *stream, void *event, unsigned flags) {
	ENTER(2);
	struct stream *s = stream_of(stream);
	struct event *e = event_of(event);
	if (s == NULL || e == NULL || flags != 0) return leave(wrong(INVALID_HANDLE, "stream %p, event %p, flags %u", stream, event, flags));
	if (e->captured) {
		if (!s->captured) {
			s->captured = 1;
			s->asked = s->joined = 0;
		}
		e->where->joined = e->asked;
		return leave(SUCCESS);
	}
	if (e->mark == 0) return leave(SUCCESS);
	return leave(submit(s, (struct op){.kind = WAIT, .event = e, .mark = e->mark}));
}

CUresult cuEventCreate(void **handle, unsigned flags) {
	ENTER(2);
	if (handle == NULL || (flags & ~3u) != 0) return leave(wrong(INVALID_VALUE, "flags %u", flags));
	struct event *e = calloc(1, sizeof *e);
	e->next = events;
	e->timed = (flags & 2) == 0;
	events = e;
	count.events++;
	*handle = e;
	return leave(SUCCESS);
}

CUresult cuEventDestroy_v2(void *handle) {
	ENTER(2);
	struct event *e = event_of(handle);
	if (e == NULL) return leave(wrong(INVALID_HANDLE, "no event %p", handle));
	CUresult result = drain_all(); // no op refers to it then
	struct event **at = &events;
	while (*at != e) at = &(*at)->next;
	*at = e->next;
	if (result == SUCCESS) free(e);
	count.events--;
	return leave(result);
}

CUresult cuEventRecord(void *event, void *stream) {
	ENTER(2);
	struct stream *s = stream_of(stream);
	struct event *e = event_of(event);
	if (s == NULL || e == NULL) return leave(wrong(INVALID_HANDLE, "stream %p, event %p", stream, event));
	e->where = s;
	if (s->captured) {
		e->captured = 1;
		e->asked = s->asked;
		return leave(SUCCESS);
	}
	e->captured = 0;
	e->mark++;
	return leave(submit(s, (struct op){.kind = RECORD, .event = e, .mark = e->mark}));
}

static CUresult until(struct event *e) {
	CUresult result = is_lost();
	while (result == SUCCESS && e->done < e->mark && e->where->queue.n > 0) result = step(e->where);
	return result;
}

CUresult cuEventSynchronize(void *handle) {
	ENTER(2);
	struct event *e = event_of(handle);
	if (e == NULL) return leave(wrong(INVALID_HANDLE, "no event %p", handle));
	if (e->captured) {
		invalidate_capture();
		return leave(CAPTURE_UNSUPPORTED);
	}
	return leave(until(e));
}

CUresult cuEventQuery(void *handle) {
	ENTER(2);
	struct event *e = event_of(handle);
	if (e == NULL) return leave(wrong(INVALID_HANDLE, "no event %p", handle));
	if (e->done >= e->mark) return leave(is_lost());
	CUresult result = step(e->where); // time goes on
	return leave(result != SUCCESS ? result : NOT_READY);
}

CUresult cuEventElapsedTime(float *ms, void *from, void *to) {
	ENTER(2);
	struct event *a = event_of(from), *b = event_of(to);
	if (ms == NULL || a == NULL || b == NULL || !a->timed || !b->timed || a->mark == 0 || b->mark == 0)
		return leave(wrong(INVALID_HANDLE, "events %p and %p are not both timed and recorded", from, to));
	if (a->done < a->mark || b->done < b->mark) return leave(NOT_READY);
	*ms = (float)(b->ms - a->ms);
	return leave(SUCCESS);
}

CUresult cuStreamBeginCapture_v2(void *handle, int mode) {
	ENTER(2);
	struct stream *s = stream_of(handle);
	if (handle == NULL || s == NULL || mode < 0 || mode > 2) return leave(wrong(INVALID_VALUE, "stream %p, mode %d", handle, mode));
	if (capturing()) return leave(wrong(INVALID_VALUE, "a capture is going on"));
	capture.origin = s;
	s->captured = 1;
	s->asked = s->joined = 0;
	return leave(SUCCESS);
}

static void *graph_new(struct list list, int executable) {
	struct graph *g = calloc(1, sizeof *g);
	*g = (struct graph){graphs, list, executable};
	graphs = g;
	*(executable ? &count.graphs : &count.templates) += 1;
	return g;
}

CUresult cuStreamEndCapture(void *handle, void **graph) {
	ENTER(2);
	if (graph == NULL || !capturing() || capture.origin != handle) return leave(wrong(INVALID_VALUE, "stream %p is not captured", handle));
	CUresult result = capture.invalid ? CAPTURE_INVALIDATED : SUCCESS;
	for (struct stream *s = streams; result == SUCCESS && s != NULL; s = s->next)
		if (s->captured && s != capture.origin && s->asked != s->joined) result = CAPTURE_UNJOINED;
	*graph = NULL;
	if (result == SUCCESS)
		*graph = graph_new(capture.list, 0);
	else
		list_free(&capture.list);
	capture_end();
	return leave(result);
}

// copy_of shares what the ops own: the copy must go first.
static struct list copy_of(struct list l) {
	struct list copy = {0};
	for (size_t i = 0; i < l.n; i++) {
		struct op op = l.ops[i];
		op.owned = NULL;
		push(&copy, op);
	}
	return copy;
}

CUresult cuGraphInstantiateWithFlags(void **executable, void *handle, unsigned long long flags) {
	ENTER(2);
	struct graph *g = graph_of(handle, 0);
	if (executable == NULL || g == NULL || flags != 0) return leave(wrong(INVALID_VALUE, "graph %p, flags %llu", handle, flags));
	// The executable outlives its template, so it takes what the ops own.
	struct list list = copy_of(g->list);
	for (size_t i = 0; i < list.n; i++) {
		list.ops[i].owned = g->list.ops[i].owned;
		g->list.ops[i].owned = NULL;
	}
	*executable = graph_new(list, 1);
	return leave(SUCCESS);
}

CUresult cuGraphLaunch(void *handle, void *stream) {
	ENTER(2);
	struct graph *g = graph_of(handle, 1);
	struct stream *s = stream_of(stream);
	if (g == NULL || s == NULL) return leave(wrong(INVALID_VALUE, "graph %p, stream %p", handle, stream));
	count.replays++;
	CUresult result = is_lost();
	for (size_t i = 0; result == SUCCESS && i < g->list.n; i++) {
		struct op op = g->list.ops[i];
		op.owned = NULL;
		result = submit(s, op);
	}
	return leave(result);
}

static CUresult graph_free(void *handle, int executable) {
	struct graph *g = graph_of(handle, executable);
	if (g == NULL) return wrong(INVALID_VALUE, "no graph %p", handle);
	CUresult result = drain_all();
	struct graph **at = &graphs;
	while (*at != g) at = &(*at)->next;
	*at = g->next;
	*(executable ? &count.graphs : &count.templates) -= 1;
	if (result == SUCCESS) list_free(&g->list);
	free(g);
	return result;
}

CUresult cuGraphDestroy(void *handle) {
	ENTER(2);
	return leave(graph_free(handle, 0));
}

CUresult cuGraphExecDestroy(void *handle) {
	ENTER(2);
	return leave(graph_free(handle, 1));
}

void stream_reset(void) {
	list_free(&capture.list);
	capture_end();
	list_free(&standard.queue);
	while (streams != NULL) {
		struct stream *s = streams;
		streams = s->next;
		list_free(&s->queue);
		free(s);
	}
	while (events != NULL) {
		struct event *e = events;
		events = e->next;
		free(e);
	}
	while (graphs != NULL) {
		struct graph *g = graphs;
		graphs = g->next;
		list_free(&g->list);
		free(g);
	}
	clock_ms = 0;
}
