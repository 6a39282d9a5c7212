/*
 * Writes down what a program does to the files of one folder, and what it sends to sockets, in the order in which it
 * happens. Preloaded (LD_PRELOAD) into the server; recording.ts reads the log.
 *
 *     log   = { entry }                                              integers are little-endian
 *     entry = kind:u8 pathBytes:u24 payloadBytes:u32 number:u64 path payload
 *
 * RECORDER_FOLDER is the folder, RECORDER_LOG the log. An entry is written before what it tells of is done, and both
 * under one lock, so the log is the order of things and at most one entry ahead of them. A sync is two entries, since
 * others go on meanwhile; what a failed call would have done is not written down.
 *
 * SQLite and sockets call the C library, whose functions are replaced here. The runtime makes its own system calls, of
 * which the C library knows nothing: a seccomp filter sends those that the program itself makes to a signal handler,
 * and that calls the same functions.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

enum { WRITE = 1, TRUNCATE, SYNC_BEGUN, SYNCED, CREATE, UNLINK, RENAME, MKDIR, RMDIR, SEND };

#define PATH_SIZE 4096
#define NEXT(name) ({ static __typeof__(&name) next; if (!next) next = dlsym(RTLD_NEXT, #name); next; })

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_handle = -1;
static char folder[PATH_SIZE];
static size_t folder_length;
static uint64_t last_sync;

static void catch_system_calls(void);

__attribute__((constructor)) static void begin(void) {
  const char *log = getenv("RECORDER_LOG"), *root = getenv("RECORDER_FOLDER");
  if (!log || !root) return;
  snprintf(folder, sizeof folder, "%s", root);
  folder_length = strlen(folder);
  log_handle = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  /* The server's own programs, of which there are none, would be recorded into the same log. */
  unsetenv("LD_PRELOAD");
  catch_system_calls();
}

static void note(int kind, const char *path, uint64_t number, const void *payload, size_t bytes) {
  uint64_t head[2] = {(uint64_t)kind | (uint64_t)strlen(path) << 8 | (uint64_t)bytes << 32, number};
  struct iovec parts[3] = {{head, sizeof head}, {(void *)path, strlen(path)}, {(void *)payload, bytes}};
  size_t all = sizeof head + strlen(path) + bytes;
  if (syscall(SYS_writev, log_handle, parts, 3) != (ssize_t)all) abort();
}

/* The path within the folder, or NULL for what is not recorded. */
static const char *within(const char *path) {
  if (log_handle < 0 || strncmp(path, folder, folder_length) != 0) return NULL;
  if (path[folder_length] != '/' && path[folder_length] != 0) return NULL;
  size_t length = strlen(path);
  if (length > 4 && strcmp(path + length - 4, "-shm") == 0) return NULL;
  if (length > 10 && strcmp(path + length - 10, " (deleted)") == 0) return NULL;
  return path;
}

static const char *path_of(int handle, char *buffer) {
  char link[64];
  if (log_handle < 0) return NULL;
  snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
  ssize_t length = readlink(link, buffer, PATH_SIZE - 1);
  if (length < 0) return NULL;
  buffer[length] = 0;
  return within(buffer);
}

static const char *path_at(int directory, const char *path, char *buffer) {
  char base[PATH_SIZE];
  if (log_handle < 0) return NULL;
  if (path[0] == '/') return within(path);
  if (directory == AT_FDCWD) { if (!getcwd(base, sizeof base)) return NULL; }
  else if (!path_of(directory, base)) return NULL;
  if (snprintf(buffer, PATH_SIZE, "%s/%s", base, path) >= PATH_SIZE) return NULL;
  return within(buffer);
}

#define RECORDED(path, entry, call) ({                        \
    pthread_mutex_lock(&lock);                                \
    if (path) entry;                                          \
    __typeof__(call) result = call;                           \
    pthread_mutex_unlock(&lock);                              \
    result; })

/* One that waits for the disk by itself is a write and a sync. */
static ssize_t write_synced(int handle, const char *path, const void *bytes, size_t size, off_t offset) {
  pthread_mutex_lock(&lock);
  uint64_t number = ++last_sync;
  note(WRITE, path, offset, bytes, size);
  note(SYNC_BEGUN, path, number, "", 0);
  ssize_t result = NEXT(pwrite64)(handle, bytes, size, offset);
  if (result == (ssize_t)size) note(SYNCED, path, number, "", 0);
  pthread_mutex_unlock(&lock);
  return result;
}

static ssize_t write_at(int handle, const void *bytes, size_t size, off_t offset) {
  char buffer[PATH_SIZE];
  const char *path = path_of(handle, buffer);
  ssize_t (*next)(int, const void *, size_t, off_t) = NEXT(pwrite64);
  if (path && (fcntl(handle, F_GETFL) & O_DSYNC)) return write_synced(handle, path, bytes, size, offset);
  return RECORDED(path, note(WRITE, path, offset, bytes, size), next(handle, bytes, size, offset));
}
ssize_t pwrite64(int handle, const void *bytes, size_t size, off_t offset) { return write_at(handle, bytes, size, offset); }
ssize_t pwrite(int handle, const void *bytes, size_t size, off_t offset) { return write_at(handle, bytes, size, offset); }

ssize_t write(int handle, const void *bytes, size_t size) {
  char buffer[PATH_SIZE];
  ssize_t (*next)(int, const void *, size_t) = NEXT(write);
  const char *path = path_of(handle, buffer);
  if (!path) return next(handle, bytes, size);
  off_t offset = lseek(handle, 0, fcntl(handle, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
  return RECORDED(path, note(WRITE, path, offset, bytes, size), next(handle, bytes, size));
}

static int truncate_to(int handle, off_t size) {
  char buffer[PATH_SIZE];
  const char *path = path_of(handle, buffer);
  int (*next)(int, off_t) = NEXT(ftruncate64);
  return RECORDED(path, note(TRUNCATE, path, size, "", 0), next(handle, size));
}
int ftruncate64(int handle, off_t size) { return truncate_to(handle, size); }
int ftruncate(int handle, off_t size) { return truncate_to(handle, size); }

static int sync_with(int handle, int (*next)(int)) {
  char buffer[PATH_SIZE];
  const char *path = path_of(handle, buffer);
  if (!path) return next(handle);
  pthread_mutex_lock(&lock);
  uint64_t number = ++last_sync;
  note(SYNC_BEGUN, path, number, "", 0);
  pthread_mutex_unlock(&lock);
  int result = next(handle);
  pthread_mutex_lock(&lock);
  if (result == 0) note(SYNCED, path, number, "", 0);
  pthread_mutex_unlock(&lock);
  return result;
}
int fsync(int handle) { return sync_with(handle, NEXT(fsync)); }
int fdatasync(int handle) { return sync_with(handle, NEXT(fdatasync)); }

static int open_at(int directory, const char *path, int flags, mode_t mode) {
  char buffer[PATH_SIZE];
  const char *full = flags & O_CREAT ? path_at(directory, path, buffer) : NULL;
  int (*next)(int, const char *, int, ...) = NEXT(openat64);
  if (!full) return next(directory, path, flags, mode);
  pthread_mutex_lock(&lock);
  int is_new = faccessat(AT_FDCWD, full, F_OK, 0) != 0;
  int handle = next(directory, path, flags, mode);
  if (handle >= 0 && is_new) note(CREATE, full, 0, "", 0);
  pthread_mutex_unlock(&lock);
  return handle;
}
#define MODE(flags) ({ va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); mode; })
int openat64(int directory, const char *path, int flags, ...) { return open_at(directory, path, flags, MODE(flags)); }
int openat(int directory, const char *path, int flags, ...) { return open_at(directory, path, flags, MODE(flags)); }
int open64(const char *path, int flags, ...) { return open_at(AT_FDCWD, path, flags, MODE(flags)); }
int open(const char *path, int flags, ...) { return open_at(AT_FDCWD, path, flags, MODE(flags)); }

int unlinkat(int directory, const char *path, int flags) {
  char buffer[PATH_SIZE];
  const char *full = path_at(directory, path, buffer);
  int (*next)(int, const char *, int) = NEXT(unlinkat);
  if (full && faccessat(AT_FDCWD, full, F_OK, 0) != 0) full = NULL;
  return RECORDED(full, note(flags & AT_REMOVEDIR ? RMDIR : UNLINK, full, 0, "", 0), next(directory, path, flags));
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int directory, const char *path, mode_t mode) {
  char buffer[PATH_SIZE];
  const char *full = path_at(directory, path, buffer);
  int (*next)(int, const char *, mode_t) = NEXT(mkdirat);
  if (full && faccessat(AT_FDCWD, full, F_OK, 0) == 0) full = NULL;
  return RECORDED(full, note(MKDIR, full, 0, "", 0), next(directory, path, mode));
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int renameat(int from_directory, const char *from, int to_directory, const char *to) {
  char buffer[PATH_SIZE], other[PATH_SIZE];
  const char *source = path_at(from_directory, from, buffer), *target = path_at(to_directory, to, other);
  int (*next)(int, const char *, int, const char *) = NEXT(renameat);
  if (!target) source = NULL;
  return RECORDED(source, note(RENAME, source, 0, target, strlen(target)), next(from_directory, from, to_directory, to));
}
int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

/* Noted before: what is promised to a client counts from here. */
static void note_send(const void *bytes, size_t size) {
  if (log_handle < 0) return;
  pthread_mutex_lock(&lock);
  note(SEND, "", 0, bytes, size);
  pthread_mutex_unlock(&lock);
}
ssize_t send(int handle, const void *bytes, size_t size, int flags) {
  note_send(bytes, size);
  return NEXT(send)(handle, bytes, size, flags);
}
ssize_t sendto(int handle, const void *bytes, size_t size, int flags, const struct sockaddr *to, socklen_t to_size) {
  note_send(bytes, size);
  return NEXT(sendto)(handle, bytes, size, flags, to, to_size);
}

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#define RESULT(context) ((context)->uc_mcontext.gregs[REG_RAX])
static long argument(ucontext_t *context, int index) {
  static const int registers[] = {REG_RDI, REG_RSI, REG_RDX, REG_R10};
  return context->uc_mcontext.gregs[registers[index]];
}
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#define RESULT(context) ((context)->uc_mcontext.regs[0])
static long argument(ucontext_t *context, int index) { return context->uc_mcontext.regs[index]; }
#else
#error "There are no registers for this machine here"
#endif

static const unsigned caught[] = {
  SYS_write, SYS_pwrite64, SYS_ftruncate, SYS_fsync, SYS_fdatasync, SYS_openat, SYS_unlinkat, SYS_mkdirat, SYS_renameat2,
#ifdef SYS_renameat
  SYS_renameat,
#endif
#ifdef SYS_open
  SYS_open, SYS_unlink, SYS_rmdir, SYS_mkdir, SYS_rename,
#endif
};

static long perform(int call, long a, long b, long c, long d) {
  switch (call) {
    case SYS_write: return write(a, (void *)b, c);
    case SYS_pwrite64: return write_at(a, (void *)b, c, d);
    case SYS_ftruncate: return truncate_to(a, b);
    case SYS_fsync: return fsync(a);
    case SYS_fdatasync: return fdatasync(a);
    case SYS_openat: return open_at(a, (char *)b, c, d);
    case SYS_unlinkat: return unlinkat(a, (char *)b, c);
    case SYS_mkdirat: return mkdirat(a, (char *)b, c);
    case SYS_renameat2: return renameat(a, (char *)b, c, (char *)d);
#ifdef SYS_renameat
    case SYS_renameat: return renameat(a, (char *)b, c, (char *)d);
#endif
#ifdef SYS_open
    case SYS_open: return open_at(AT_FDCWD, (char *)a, b, c);
    case SYS_unlink: return unlink((char *)a);
    case SYS_rmdir: return rmdir((char *)a);
    case SYS_mkdir: return mkdir((char *)a, b);
    case SYS_rename: return rename((char *)a, (char *)b);
#endif
    default: abort();
  }
}

static void on_system_call(int signal, siginfo_t *info, void *data) {
  ucontext_t *context = data;
  int before = errno;
  long result = perform(info->si_syscall, argument(context, 0), argument(context, 1), argument(context, 2), argument(context, 3));
  RESULT(context) = result < 0 ? -errno : result;
  errno = before;
  (void)signal;
}

/* The runtime has a handler of its own for all signals that nobody expects. */
int sigaction(int signal, const struct sigaction *action, struct sigaction *before) {
  if (signal == SIGSYS && action && log_handle >= 0 && action->sa_sigaction != on_system_call) return 0;
  return NEXT(sigaction)(signal, action, before);
}

/* The first object is the program itself. */
static int find_program(struct dl_phdr_info *object, size_t size, void *data) {
  uint64_t *range = data;
  for (int index = 0; index < object->dlpi_phnum; index++) {
    const ElfW(Phdr) *part = &object->dlpi_phdr[index];
    if (part->p_type != PT_LOAD || !(part->p_flags & PF_X)) continue;
    range[0] = object->dlpi_addr + part->p_vaddr;
    range[1] = range[0] + part->p_memsz;
  }
  (void)size;
  return 1;
}

static void catch_system_calls(void) {
  uint64_t range[2] = {0, 0};
  struct sock_filter filter[64];
  unsigned short count = 0;
  dl_iterate_phdr(find_program, range);
  if (range[0] >> 32 != range[1] >> 32) abort();
#define LOAD(what) filter[count++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, what)
#define RETURN(what) filter[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what)
#define UNLESS(test, value) filter[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | test | BPF_K, value, 1, 0)
#define IF(test, value) filter[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | test | BPF_K, value, 0, 1)
  LOAD(offsetof(struct seccomp_data, arch));
  UNLESS(BPF_JEQ, ARCHITECTURE); RETURN(SECCOMP_RET_ALLOW);
  LOAD(offsetof(struct seccomp_data, instruction_pointer) + 4);
  UNLESS(BPF_JEQ, (uint32_t)(range[0] >> 32)); RETURN(SECCOMP_RET_ALLOW);
  LOAD(offsetof(struct seccomp_data, instruction_pointer));
  UNLESS(BPF_JGE, (uint32_t)range[0]); RETURN(SECCOMP_RET_ALLOW);
  IF(BPF_JGE, (uint32_t)range[1]); RETURN(SECCOMP_RET_ALLOW);
  LOAD(offsetof(struct seccomp_data, nr));
  for (size_t index = 0; index < sizeof caught / sizeof *caught; index++) {
    IF(BPF_JEQ, caught[index]); RETURN(SECCOMP_RET_TRAP);
  }
  RETURN(SECCOMP_RET_ALLOW);
  struct sigaction action = {.sa_sigaction = on_system_call, .sa_flags = SA_SIGINFO | SA_NODEFER};
  struct sock_fprog program = {.len = count, .filter = filter};
  if (sigaction(SIGSYS, &action, NULL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) abort();
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0) abort();
}
