"""What holds a program: system namespaces, limits, and the interpreter's hook. Runs in the child; standard library only."""

# Importing pathlib would take a fifth of the time of a program.
# ruff: noqa: PTH103, PTH109, PTH112, PTH114, PTH115, PTH120, PTH208, PTH211

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress

NOBODY = 65534
NEWNS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
RDONLY, NOSUID, NODEV, REMOUNT, BIND, REC, PRIVATE, DETACH = 1, 2, 4, 32, 4096, 16384, 1 << 18, 2
SHOWN = ("/usr/lib", "/usr/lib64", "/usr/lib32", "/usr/local/lib", "/usr/share/zoneinfo", "/lib", "/lib64", "/lib32")
"""Folders with the libraries that the interpreter's own modules need, beside its own."""
WORK = "/work"
HOOK = "the interpreter's hook"


def become_nobody() -> str:
    """Give up root's rights if we have them and the interpreter can be read without; return who we are then."""
    if os.geteuid() != 0:
        return "the caller's"
    folder = os.getcwd()
    with suppress(OSError):
        os.chown(folder, NOBODY, NOBODY)
    try:
        os.seteuid(NOBODY)
        fit = os.access(os.__file__, os.R_OK, effective_ids=True) and os.access(folder, os.W_OK, effective_ids=True)
        os.seteuid(0)
    except OSError:  # a user namespace without such a user
        fit = False
    if not fit:
        return "root"
    with suppress(OSError):
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    return "nobody" if os.getuid() == NOBODY else "root"


def leave_system(file_mb: int) -> dict[str, str]:
    """Enter namespaces of our own, as many as we are let; return the layers that hold now.

    Processes started after this are numbered from 1 and die with the first of them.
    """
    found = {"network": HOOK, "files": HOOK, "processes": HOOK}
    if not sys.platform.startswith("linux"):
        return found
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: lost by becoming nobody, and needed to write our own maps below
    user, group = os.getuid(), os.getgid()
    for wanted in (NEWUSER | NEWNET | NEWPID | NEWIPC | NEWNS, NEWUSER | NEWNET):
        if libc.unshare(wanted) == 0:
            found["network"] = "network namespace"
            found |= {"processes": "process namespace"} if wanted & NEWPID else {}
            break
    else:
        return found
    with suppress(OSError):
        write("/proc/self/setgroups", "deny")
        write("/proc/self/uid_map", f"{user} {user} 1")
        write("/proc/self/gid_map", f"{group} {group} 1")
        if wanted & NEWNS:
            change_root(libc, file_mb)
            found["files"] = "mount namespace"
    return found


def write(path: str, text: str) -> None:
    """Write one of the files of /proc."""
    handle = os.open(path, os.O_WRONLY)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


def change_root(libc: object, file_mb: int) -> None:
    """Make an empty root in memory that shows the interpreter's libraries, and an empty working folder."""
    import ctypes

    def call(name: str, *given: object) -> None:
        texts = [value.encode() if isinstance(value, str) else value for value in given]
        if getattr(libc, name)(*texts) != 0:
            raise OSError(ctypes.get_errno(), name)

    root = os.getcwd()
    call("mount", None, "/", None, ctypes.c_ulong(REC | PRIVATE), None)
    call("mount", "tmpfs", root, "tmpfs", ctypes.c_ulong(NOSUID | NODEV), f"size={4 * file_mb}m,mode=755")
    for folder in dict.fromkeys((*SHOWN, os.path.dirname(os.__file__))):
        show(call, folder, root + folder)
    os.makedirs(root + "/etc", exist_ok=True)
    os.makedirs(root + WORK, 0o700)
    os.makedirs(root + "/tmp", 0o700)
    os.chdir(root)
    call("pivot_root", ".", ".")
    call("umount2", ".", DETACH)
    os.chdir(WORK)


def show(call: Callable[..., None], folder: str, target: str) -> None:
    """Make a folder of the system visible under the new root, read only; a link stays one."""
    import ctypes

    if os.path.islink(folder):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with suppress(FileExistsError):
            os.symlink(os.readlink(folder), target)
        return
    shown = os.path.isdir(target) and os.listdir(target)  # it lies in a folder that is shown already
    if shown or not os.path.isdir(folder):
        return
    os.makedirs(target, exist_ok=True)
    call("mount", folder, target, None, ctypes.c_ulong(BIND | REC), None)
    with suppress(OSError):  # refused where the system has locked the mount's flags: rights of files hold then
        call("mount", None, target, None, ctypes.c_ulong(BIND | REMOUNT | RDONLY | NOSUID | NODEV), None)


def drop_rights() -> None:
    """Give up the rights that a user namespace gave, and die with the parent."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc.capset(header, none)


def die_with_parent() -> None:
    """Have the system end this process when its parent ends."""
    if sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)


def set_limits(seconds: float, memory_mb: int, file_mb: int, processes: int) -> list[str]:
    """Set the system's limits on this process; return those that hold."""
    import resource

    mb = 1 << 20
    wanted = {
        "RLIMIT_AS": memory_mb * mb,
        "RLIMIT_CPU": int(seconds) + 2,
        "RLIMIT_FSIZE": file_mb * mb,
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": 64,
        "RLIMIT_NPROC": processes,
    }
    held = []
    for name, value in wanted.items():
        with suppress(ValueError, OSError, AttributeError):
            resource.setrlimit(getattr(resource, name), (value, value))
            held.append(name)
    return held


class Refused(PermissionError):
    """The program tried what the sandbox refuses."""


REFUSED = (
    "socket.", "subprocess.", "ctypes.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty.spawn",
    "os.kill", "signal.pthread_kill", "syslog.", "sqlite3.load_extension", "sqlite3.enable_load_extension", "winreg.",
    "ftplib.", "smtplib.", "urllib.", "http.client.", "poplib.", "imaplib.", "telnetlib.", "nntplib.", "webbrowser.",
)  # fmt: skip
WITH_PATH = frozenset(
    "os.chdir os.chmod os.chown os.link os.listdir os.mkdir os.remove os.rename os.rmdir os.scandir os.symlink "
    "os.truncate os.utime shutil.copyfile shutil.rmtree sqlite3.connect".split()
)


def watch() -> None:
    """Have the interpreter refuse sockets, processes and files outside the working folder, from now on for good."""
    own = os.path.realpath(os.getcwd())
    library = tuple(os.path.realpath(path) + os.sep for path in sys.path if path)
    readable = (own + os.sep, *library, "/usr/share/zoneinfo/")
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    real, sep, fs, starts = os.path.realpath, os.sep, os.fsdecode, str.startswith

    def inside(path: object, places: tuple[str, ...]) -> bool:
        if isinstance(path, int) or path is None or path in (":memory:", b":memory:"):
            return True
        return starts(real(fs(path)) + sep, places)  # type: ignore[arg-type]

    def hook(event: str, given: tuple[object, ...]) -> None:
        if event == "open":
            path, _, flags = given
            writes = flags & writing if isinstance(flags, int) else False
            if not inside(path, (own + sep,) if writes else readable):
                raise Refused(f"the file {path!r} is outside the working folder")
        elif event in WITH_PATH:
            if not inside(given[0], (own + sep,) if event != "os.listdir" and event != "os.scandir" else readable):
                raise Refused(f"{event} of {given[0]!r}, outside the working folder")
        elif starts(event, REFUSED):
            raise Refused(f"{event} is not allowed")

    sys.addaudithook(hook)
