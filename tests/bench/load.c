/* The load: asks a server on the loopback address, counts its replies, and says how long they took.

       load MODE RULE PORT REQUESTS SEED WARM SECONDS CONNECTIONS DEPTH PAD RATE

   MODE      udp    one socket, DEPTH datagrams on their way; one datagram is one reply
             stay   CONNECTIONS that stay open, DEPTH requests on their way on each
             once   a connection for each request, CONNECTIONS at a time
   RULE      how a reply ends: phonebook, ldap, dict, eof (not looked at over UDP)
   REQUESTS  a file of records: a length, four octets in network order, and so many octets;
             each request is one of them, drawn at random
   WARM      seconds before the measurement; its end is told as a line "go", and nothing is sent
             before a line has come on standard input: time to read the server's CPU clock. What
             is on its way then is answered before that reading and counted behind it; at the end
             it is the other way round
   PAD       0, or the length that datagrams are brought to with spaces before their last two octets
   RATE      0, or how many requests fall due each second (stay, DEPTH 1): each goes to a connection
             that is idle, or waits for one, and its time runs from when it fell due

   At the end a line of JSON, and the connections stay until a further line has come. One thread: "cpu" is the share of a core that the load itself used
   while it measured, so that everybody sees whether it was the bottleneck. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 64, BUFFER = 1 << 19, STEPS = 64, LOST_AFTER = 200 /* milliseconds */ };

struct connection {
    int fd;
    size_t used;           /* octets in the buffer */
    unsigned first, count; /* requests on their way, a ring */
    uint64_t sent[MOST];   /* when */
    char buffer[BUFFER];
};

typedef unsigned (*Rule)(struct connection *);

static struct iovec *requests;
static size_t request_count;
static struct sockaddr_in server;
static uint64_t seed, warm_until, until, begin, pause_time;
static double cpu_begin;
static unsigned long long replies, noted, octets, lost;
static unsigned long long histogram[64 * STEPS];
static int quick_ack;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static double cpu(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static struct iovec *draw(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return &requests[seed % request_count];
}

/* Histogram: each power of two in 64 steps, so a percentile is right to 1.6 %. */

static void note(uint64_t sent, uint64_t time) {
    uint64_t nanoseconds = time - sent;
    replies++;
    if (sent < begin)
        return; /* it waited while the measurement began */
    noted++;
    int power = 63 - __builtin_clzll(nanoseconds | STEPS);
    histogram[(power - 6) * STEPS + (nanoseconds >> (power - 6)) - STEPS]++;
}

static double percentile(double share) {
    unsigned long long left = noted * share, index = 0;
    while (histogram[index] <= left && index < 58 * STEPS)
        left -= histogram[index++];
    return (double)((index % STEPS + STEPS) << (index / STEPS)) / 1000; /* microseconds */
}

static void await_line(void) {
    fflush(stdout);
    while (getchar() > '\n')
        ;
}

/* Say "go" when the warm-up is over, and forget what it counted; tell whether all is over. */

static int over(uint64_t time) {
    if (warm_until && time >= warm_until) {
        puts("go");
        await_line();
        begin = now();
        pause_time = begin - time;
        until += pause_time;
        warm_until = replies = noted = octets = lost = 0;
        memset(histogram, 0, sizeof histogram);
        cpu_begin = cpu();
    }
    return time >= until;
}

/* Rules: how many whole replies begin the buffer; they are taken out of it. */

static void keep_from(struct connection *c, char *rest) {
    c->used -= rest - c->buffer;
    memmove(c->buffer, rest, c->used);
}

static unsigned by_phonebook(struct connection *c) {
    unsigned found = 0;
    char *at = c->buffer, *end = at + c->used, *mark;
    for (; (mark = memmem(at, end - at, "\r\n.\r\n", 5)); at = mark + 5)
        found++;
    keep_from(c, end - at > 4 ? end - 4 : at);
    return found;
}

static unsigned by_dict(struct connection *c) {
    unsigned found = 0;
    char *at = c->buffer, *end = at + c->used, *line;
    for (; (line = memchr(at, '\n', end - at)); at = line + 1)
        found += !memcmp(at, "250 ", 4) || ((*at == '4' || *at == '5') && at[3] == ' ');
    keep_from(c, at);
    return found;
}

static unsigned by_ldap(struct connection *c) {
    unsigned found = 0;
    unsigned char *at = (unsigned char *)c->buffer, *end = at + c->used;
    while (end - at >= 2) {
        size_t head = 2, length = at[1];
        if (length & 0x80) {
            head += length & 0x7f;
            if ((size_t)(end - at) < head)
                break;
            length = 0;
            for (size_t i = 2; i < head; i++)
                length = length << 8 | at[i];
        }
        if ((size_t)(end - at) < head + length)
            break;
        found += at[head + 2 + at[head + 1]] == 0x65; /* behind the message's number: the end */
        at += head + length;
    }
    keep_from(c, (char *)at);
    return found;
}

static unsigned by_eof(struct connection *c) {
    c->used = 0;
    return 0;
}

/* Connections */

static void ask(struct connection *c, unsigned count, uint64_t time) {
    struct iovec pieces[MOST];
    for (unsigned i = 0; i < count; i++) {
        pieces[i] = *draw();
        c->sent[(c->first + c->count++) % MOST] = time;
    }
    if (writev(c->fd, pieces, count) < 0)
        fail("send");
}

static void open_connection(struct connection *c, int poller, unsigned count) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    int yes = 1;
    uint64_t time = now();
    c->used = c->count = 0;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server) < 0)
        fail("connect");
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
    c->first = 0;
    if (count)
        ask(c, count, time); /* from the beginning of the connection */
}

static void over_tcp(Rule rule, int once, unsigned connections, unsigned depth, double rate) {
    struct connection *all = calloc(connections, sizeof *all);
    struct connection **idle = calloc(connections, sizeof *idle);
    struct epoll_event events[256];
    int poller = epoll_create1(0), yes = 1;
    unsigned idle_count = 0;
    uint64_t start = now(), due_count = 0;
    for (unsigned i = 0; i < connections; i++) {
        open_connection(&all[i], poller, rate ? 0 : depth);
        if (rate)
            idle[idle_count++] = &all[i];
    }
    while (!over(now())) {
        struct timespec wait = {0, 10000000};
        while (idle_count) {
            uint64_t due = start + pause_time + due_count / rate * 1e9, time = now();
            if (due > time) {
                wait.tv_nsec = due - time < 10000000 ? due - time : 10000000;
                break;
            }
            ask(idle[--idle_count], 1, due);
            due_count++;
        }
        int ready = epoll_pwait2(poller, events, 256, &wait, NULL);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            ssize_t got = recv(c->fd, c->buffer + c->used, BUFFER - c->used, MSG_DONTWAIT);
            if (got < 0) {
                if (errno == EAGAIN)
                    continue;
                if (errno != ECONNRESET)
                    fail("receive");
                got = 0;
                lost += rule == by_eof;
            }
            if (quick_ack)
                setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &yes, sizeof yes);
            octets += got;
            c->used += got;
            unsigned found = got ? rule(c) : rule == by_eof;
            uint64_t time = now();
            if (!got && !found) { /* closed, and no reply had been whole */
                if (!once)
                    fail("the server closed a connection");
                lost++;
            }
            if (found > c->count || c->used == BUFFER)
                fail("replies that nobody asked for, or one that has no end");
            for (unsigned n = 0; n < found; n++)
                note(c->sent[c->first++ % MOST], time);
            c->first %= MOST;
            c->count -= found;
            if (once && (found || !got)) {
                close(c->fd);
                open_connection(c, poller, 1);
            } else if (found && rate)
                idle[idle_count++] = c;
            else if (found)
                ask(c, found, time);
        }
    }
}

/* Datagrams. A server answers in order, so the oldest that is on its way is the one answered. */

static void over_udp(unsigned depth, size_t pad) {
    static char buffers[MOST][4096], spaces[4096];
    struct iovec pieces[MOST][3], into[MOST];
    struct mmsghdr out[MOST], in[MOST];
    uint64_t sent[MOST];
    unsigned first = 0, count = 0;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        fail("connect");
    memset(spaces, ' ', sizeof spaces);
    memset(in, 0, sizeof in);
    memset(out, 0, sizeof out);
    for (unsigned i = 0; i < MOST; i++) {
        into[i] = (struct iovec){buffers[i], sizeof buffers[i]};
        in[i].msg_hdr = (struct msghdr){.msg_iov = &into[i], .msg_iovlen = 1};
    }
    while (!over(now())) {
        unsigned send = depth - count;
        for (unsigned i = 0; i < send; i++) {
            struct iovec *request = draw();
            size_t length = request->iov_len, fill = pad > length ? pad - length : 0;
            pieces[i][0] = (struct iovec){request->iov_base, length - 2};
            pieces[i][1] = (struct iovec){spaces, fill};
            pieces[i][2] = (struct iovec){(char *)request->iov_base + length - 2, 2};
            out[i].msg_hdr.msg_iov = pieces[i];
            out[i].msg_hdr.msg_iovlen = 3;
        }
        uint64_t time = now();
        for (unsigned done = 0; done < send;) {
            int went = sendmmsg(fd, out + done, send - done, 0);
            if (went < 0)
                fail("send");
            done += went;
        }
        for (unsigned i = 0; i < send; i++)
            sent[(first + count++) % MOST] = time;
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        int got = 0;
        if (poll(&wait, 1, LOST_AFTER) == 1 && (got = recvmmsg(fd, in, MOST, MSG_DONTWAIT, NULL)) < 0)
            fail("receive");
        if (!got) { /* all that were on their way are lost */
            lost += count;
            count = 0;
        }
        time = now();
        for (int i = 0; i < got; i++) {
            octets += in[i].msg_len;
            if (!count)
                continue; /* came after it was given up */
            note(sent[first], time);
            first = (first + 1) % MOST;
            count--;
        }
    }
}

static void read_requests(const char *path) {
    FILE *file = fopen(path, "rb");
    unsigned char head[4];
    if (!file)
        fail(path);
    while (fread(head, 4, 1, file) == 1) {
        size_t length = head[0] << 24 | head[1] << 16 | head[2] << 8 | head[3];
        if ((request_count & (request_count - 1)) == 0) /* a power of two: it is full */
            requests = realloc(requests, (request_count ? 2 * request_count : 1) * sizeof *requests);
        requests[request_count] = (struct iovec){malloc(length), length};
        if (length < 2 || fread(requests[request_count++].iov_base, length, 1, file) != 1)
            fail("a request is not whole");
    }
    if (!request_count)
        fail("no request");
}

int main(int count, char **words) {
    if (count != 12) {
        fputs("load MODE RULE PORT REQUESTS SEED WARM SECONDS CONNECTIONS DEPTH PAD RATE\n", stderr);
        return 2;
    }
    const char *mode = words[1], *name = words[2];
    unsigned connections = atoi(words[8]), depth = atoi(words[9]);
    if (!depth || depth > MOST || !connections || connections > 4096)
        fail("connections or depth");
    Rule rule = !strcmp(name, "ldap")   ? by_ldap
                : !strcmp(name, "dict") ? by_dict
                : !strcmp(name, "eof")  ? by_eof
                                        : by_phonebook;
    quick_ack = rule == by_dict; /* it writes a reply in pieces, and would wait for each */
    server.sin_family = AF_INET;
    server.sin_port = htons(atoi(words[3]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    read_requests(words[4]);
    seed = strtoull(words[5], NULL, 10) * 0x9e3779b97f4a7c15ull | 1;
    warm_until = now() + 1e9 * atof(words[6]);
    until = warm_until + 1e9 * atof(words[7]);

    if (!strcmp(mode, "udp"))
        over_udp(depth, atoi(words[10]));
    else
        over_tcp(rule, !strcmp(mode, "once"), connections, depth, atof(words[11]));

    double seconds = (now() - begin) / 1e9;
    printf("{\"replies\": %llu, \"seconds\": %.6f, \"octets\": %llu, \"lost\": %llu, "
           "\"p50\": %.1f, \"p99\": %.1f, \"cpu\": %.3f}\n",
           replies, seconds, octets, lost, percentile(0.5), percentile(0.99),
           (cpu() - cpu_begin) / seconds);
    await_line();
    return 0;
}
