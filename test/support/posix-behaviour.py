"""What programs can count on in a directory: each check answers with a line, to be compared between file systems.

    posix-behaviour.py --list          names of the checks
    posix-behaviour.py DIRECTORY       runs them as root, each in DIRECTORY/NAME, which holds the tree of `STANDARD`

Answers hold no inode numbers, device numbers or times, but what can be said of them (same, changed, later).
"""
import ctypes
import errno
import fcntl
import mmap
import os
import select
import socket
import stat
import struct
import subprocess
import sys
import time

CHECKS = {}
libc = ctypes.CDLL(None, use_errno=True)
RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4
AT_FDCWD, AT_EMPTY_PATH, AT_SYMLINK_FOLLOW = -100, 0x1000, 0x400
O_TMPFILE = 0o20000000 | os.O_DIRECTORY


def check(function):
    CHECKS[function.__name__.replace('_', '-')] = function
    return function


def name_of(error):
    return errno.errorcode.get(error.errno, str(error.errno))


def tried(call, *args, **kwargs):
    """The result, `ok` for none, or the error's name."""
    try:
        result = call(*args, **kwargs)
        return 'ok' if result is None else result
    except OSError as error:
        return name_of(error)


def rename2(old, new, flags):
    if libc.renameat2(AT_FDCWD, old.encode(), AT_FDCWD, new.encode(), flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def linkat(fd, new):
    path = f'/proc/self/fd/{fd}'.encode()
    if libc.linkat(AT_FDCWD, path, AT_FDCWD, new.encode(), AT_SYMLINK_FOLLOW) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def read(path):
    with open(path, 'rb') as file:
        return file.read().decode()


def write(path, text, mode='w'):
    with open(path, mode) as file:
        file.write(text)


def as_user(uid, call, groups=()):
    """What `call` answers in a process of that user."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups(list(groups))
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os.write(writer, repr(call()).encode())
        except BaseException as error:
            os.write(writer, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    answer = b''
    while chunk := os.read(reader, 4096):
        answer += chunk
    os.close(reader)
    os.waitpid(pid, 0)
    return answer.decode()


def mode(path):
    return oct(stat.S_IMODE(os.lstat(path).st_mode))


def settle():
    """Lets the clock of file systems tick."""
    time.sleep(0.012)


# rename


@check
def rename_over_file():
    os.rename('f', 'd/a')
    return read('d/a'), os.path.exists('f'), sorted(os.listdir('d'))


@check
def rename_errors():
    return (
        tried(os.rename, 'f', 'd'),
        tried(os.rename, 'empty', 'f'),
        tried(os.rename, 'nothing', 'f'),
        tried(os.rename, 'empty', 'empty/below'),
        tried(os.rename, 'f', 'nowhere/f'),
        tried(os.rename, 'f', 'f'),
        tried(os.rename, 'd', 'sticky'),
    )


@check
def rename_of_two_names_of_one_file():
    return tried(os.rename, 'h1', 'h2'), sorted(name for name in os.listdir('.') if name.startswith('h'))


@check
def rename_new_directory():
    os.mkdir('new')
    write('new/x', 'x')
    os.rename('new', 'empty')
    return os.listdir('empty'), os.path.exists('new')


@check
def rename_lower_directory():
    return tried(os.rename, 'd', 'moved')


@check
def rename_flags():
    os.mkdir('new')
    return (
        tried(rename2, 'f', 'h1', RENAME_NOREPLACE),
        tried(rename2, 'f', 'fresh', RENAME_NOREPLACE),
        tried(rename2, 'fresh', 'h1', RENAME_EXCHANGE),
        read('fresh'),
        read('h1'),
        tried(rename2, 'new', 'fresh', RENAME_EXCHANGE),
        stat.S_ISDIR(os.lstat('fresh').st_mode),
    )


@check
def rename_while_open():
    with open('f', 'r+') as file:
        os.rename('f', 'renamed')
        file.write('R')
        file.flush()
        return read('renamed'), os.fstat(file.fileno()).st_ino == os.stat('renamed').st_ino


@check
def rename_symlink():
    os.rename('l', 'moved')
    return os.readlink('moved'), read('moved'), os.path.lexists('l')


# link, unlink, symlink


@check
def link_of_lower_file():
    os.link('f', 'second')
    write('second', 'written')
    return read('f'), os.stat('f').st_nlink, os.stat('f').st_ino == os.stat('second').st_ino


@check
def link_errors():
    return (
        tried(os.link, 'd', 'dirlink'),
        tried(os.link, 'f', 'h1'),
        tried(os.link, 'nothing', 'x'),
        tried(os.link, 'f', 'f/x'),
    )


@check
def link_of_symlink():
    os.link('l', 'second', follow_symlinks=False)
    return os.readlink('second'), os.lstat('l').st_nlink


@check
def hard_links_of_lower_files():
    before = os.stat('h1').st_ino == os.stat('h2').st_ino, os.stat('h1').st_nlink
    write('h1', '+', 'a')
    return before, read('h1'), read('h2')


@check
def unlink_open_file():
    with open('f', 'r+') as file:
        os.unlink('f')
        file.write('still here')
        file.seek(0)
        answer = file.read(), os.fstat(file.fileno()).st_nlink, os.path.exists('f')
        again = tried(open, f'/proc/self/fd/{file.fileno()}')
        return answer, read_all(again)


def read_all(file):
    return file if isinstance(file, str) else file.read()


@check
def unlink_and_make_anew():
    with open('f') as old:
        os.unlink('f')
        write('f', 'new')
        return old.read(), read('f')


@check
def unlink_errors():
    return tried(os.unlink, 'nothing'), tried(os.unlink, 'f/x'), tried(os.rmdir, 'f'), tried(os.rmdir, 'd')


@check
def remove_directory_that_is_open():
    fd = os.open('empty', os.O_RDONLY | os.O_DIRECTORY)
    os.rmdir('empty')
    return os.listdir(fd), tried(os.open, 'x', os.O_CREAT | os.O_WRONLY, dir_fd=fd)


@check
def working_directory_that_is_gone():
    def gone():
        os.chdir('empty')
        os.rmdir('../empty')
        return tried(os.getcwd), tried(write, 'x', 'x')

    return as_user(0, gone)


@check
def directory_made_anew_is_empty():
    subprocess.run(['rm', '-r', 'd'], check=True)
    os.mkdir('d')
    return os.listdir('d'), tried(os.rmdir, 'd'), tried(os.listdir, 'd')


@check
def symlink_loops():
    os.symlink('b', 'a')
    os.symlink('a', 'b')
    return tried(open, 'a'), tried(os.symlink, 'x', 'f'), tried(os.open, 'l', os.O_RDONLY | os.O_NOFOLLOW)


@check
def names():
    return (
        tried(write, 'n' * 255, ''),
        tried(write, 'n' * 256, ''),
        tried(write, b'\xff\xfe\n', ''),
        tried(os.stat, 'x/' * 2100),
        tried(write, 'empty/', ''),
    )


# open, O_TMPFILE


@check
def open_flags():
    exclusive = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    return (
        tried(os.open, 'f', exclusive),
        tried(os.open, 'l', exclusive),
        tried(os.open, 'd', os.O_WRONLY),
        tried(os.open, 'f', os.O_RDONLY | os.O_DIRECTORY),
        tried(os.open, 'nowhere/x', os.O_CREAT | os.O_WRONLY),
        tried(os.open, 'fifo', os.O_WRONLY | os.O_NONBLOCK),
    )


@check
def tmpfile():
    fd = os.open('d', O_TMPFILE | os.O_RDWR, 0o640)
    os.write(fd, b'made without a name')
    before = os.fstat(fd).st_nlink, len(os.listdir('d'))
    linkat(fd, 'd/named')
    return before, read('d/named'), mode('d/named'), os.fstat(fd).st_nlink


@check
def tmpfile_exclusive():
    fd = os.open('d', O_TMPFILE | os.O_RDWR | os.O_EXCL, 0o600)
    return tried(linkat, fd, 'd/named')


@check
def append_by_two():
    one, two = (os.open('f', os.O_WRONLY | os.O_APPEND) for _ in range(2))
    for fd, text in ((one, b'1'), (two, b'2'), (one, b'3')):
        os.write(fd, text)
    return read('f')


@check
def truncation():
    with open('big', 'r+b') as file:
        file.truncate(10)
        file.truncate(4096 * 3)
        size, blocks = os.fstat(file.fileno()).st_size, file.read()[10:]
    os.truncate('f', 2)
    return size, set(blocks), read('f'), tried(os.truncate, 'd', 0)


@check
def holes():
    fd = os.open('sparse', os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b'x' * 4096, 1 << 20)
    answer = os.lseek(fd, 0, os.SEEK_DATA), os.lseek(fd, 1 << 20, os.SEEK_HOLE), os.fstat(fd).st_blocks * 512 < 1 << 20
    os.posix_fallocate(fd, 0, 8192)
    return answer, os.fstat(fd).st_size, tried(os.lseek, fd, 1 << 30, os.SEEK_DATA)


@check
def running_program():
    child = subprocess.Popen(['./program', '5'], stdout=subprocess.DEVNULL)
    try:
        return tried(open, 'program', 'r+b') if child.poll() is None else 'ended'
    finally:
        child.kill()
        child.wait()


@check
def copy_inside_the_kernel():
    source, target = os.open('big', os.O_RDONLY), os.open('copy', os.O_WRONLY | os.O_CREAT)
    copied = tried(os.copy_file_range, source, target, 1 << 20)
    if isinstance(copied, str):
        return copied
    with open('big', 'rb') as a, open('copy', 'rb') as b:
        return copied, a.read() == b.read()


# locks, memory


@check
def flock_between_processes():
    fd = os.open('f', os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)

    def other():
        mine = os.open('f', os.O_RDWR)
        return tried(fcntl.flock, mine, fcntl.LOCK_SH | fcntl.LOCK_NB)

    held = as_user(0, other)
    fcntl.flock(fd, fcntl.LOCK_UN)
    return held, as_user(0, other)


@check
def record_locks():
    fd = os.open('f', os.O_RDWR)
    fcntl.lockf(fd, fcntl.LOCK_EX, 2, 0)

    def other():
        mine = os.open('f', os.O_RDWR)
        kind = struct.unpack('hhqqi4x', fcntl.fcntl(mine, fcntl.F_GETLK, struct.pack('hhqqi4x', 1, 0, 0, 1, 0)))[0]
        return (
            tried(fcntl.lockf, mine, fcntl.LOCK_EX | fcntl.LOCK_NB, 2, 0),
            tried(fcntl.lockf, mine, fcntl.LOCK_EX | fcntl.LOCK_NB, 2, 2),
            kind,
        )

    return as_user(0, other)


@check
def shared_mapping():
    with open('f', 'r+b') as file:
        memory = mmap.mmap(file.fileno(), 5)
        memory[0:1] = b'M'
        seen = read('f')
        os.pwrite(file.fileno(), b'W', 1)
        mapped = bytes(memory)
        memory.flush()
        return seen, mapped


@check
def mapping_between_processes():
    file = open('f', 'r+b')
    memory = mmap.mmap(file.fileno(), 5)

    def other():
        with open('f', 'r+b') as mine:
            mmap.mmap(mine.fileno(), 5)[4:5] = b'!'

    as_user(0, other)
    return bytes(memory), read('f')


@check
def private_mapping():
    with open('f', 'r+b') as file:
        memory = mmap.mmap(file.fileno(), 5, flags=mmap.MAP_PRIVATE)
        memory[0:1] = b'P'
        return bytes(memory), read('f')


@check
def mapping_of_a_file_that_is_gone():
    with open('f', 'rb') as file:
        memory = mmap.mmap(file.fileno(), 5, prot=mmap.PROT_READ)
    os.unlink('f')
    return bytes(memory)


@check
def reader_opened_before_the_first_write():
    with open('f') as reader:
        write('f', 'written')
        return reader.read()


@check
def mapping_made_before_the_first_write():
    """POSIX wants the new content; overlayfs documents that such a mapping stays as the lower file is."""
    with open('f', 'rb') as file:
        memory = mmap.mmap(file.fileno(), 5, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
    with open('f', 'r+') as file:
        file.write('WRITE')
    return bytes(memory)


# permissions


@check
def sticky_directory():
    def theirs():
        return (
            tried(os.unlink, 'sticky/others'),
            tried(os.rename, 'sticky/others', 'sticky/x'),
            tried(os.unlink, 'sticky/mine'),
            tried(write, 'sticky/new', 'x'),
        )

    return as_user(1000, theirs), sorted(os.listdir('sticky'))


@check
def permissions_of_users():
    def theirs():
        return (
            tried(open, 'secret'),
            tried(write, 'f', 'x'),
            tried(os.chmod, 'f', 0o777),
            tried(os.chown, 'f', 1000, 1000),
            tried(os.utime, 'f'),
            tried(os.mkdir, 'empty/x'),
            tried(os.listdir, 'closed'),
            os.access('program', os.X_OK),
            tried(os.mknod, 'sticky/dev', stat.S_IFCHR | 0o600, os.makedev(1, 3)),
        )

    return as_user(1000, theirs)


@check
def setgid_directory_hands_on():
    os.mkdir('sgid/d')
    write('sgid/f', '')
    return mode('sgid/d'), os.stat('sgid/d').st_gid, os.stat('sgid/f').st_gid, mode('sgid/f')


@check
def setuid_is_lost():
    os.chown('suid', 5, 5)
    after_chown = mode('suid')
    os.chmod('suid', 0o4777)

    def theirs():
        write('suid', 'x', 'a')

    as_user(1000, theirs)
    return after_chown, mode('suid')


@check
def setgid_outside_the_group():
    os.chown('f', 1000, 7)

    def theirs():
        return tried(os.chmod, 'f', 0o2755)

    return as_user(1000, theirs), mode('f')


def setfacl(*words):
    """Whether it works."""
    return subprocess.run(['setfacl', *words], stderr=subprocess.DEVNULL).returncode == 0


@check
def umask_and_default_acl():
    os.mkdir('own')
    answer = setfacl('-d', '-m', 'u:1000:rwx,g::r', 'own')
    os.umask(0o077)
    write('own/f', '')
    os.mkdir('own/d')
    os.umask(0o022)
    shown = subprocess.run(['getfacl', '-cnp', 'own/f', 'own/d'], capture_output=True, text=True, check=True).stdout
    return answer, shown.split()


@check
def acl_of_lower_file():
    return setfacl('-m', 'u:1000:rw', 'secret'), setfacl('-d', '-m', 'u:1000:rwx', 'empty')


@check
def acl_of_written_file():
    write('secret', 'x', 'a')
    answer = setfacl('-m', 'u:1000:rw', 'secret')

    def theirs():
        return tried(read, 'secret'), tried(write, 'secret', 'w')

    before = as_user(1000, theirs)
    os.chmod('secret', 0o640)
    return answer, before, mode('secret'), as_user(1000, theirs)


@check
def capabilities_are_lost_by_writing():
    value = bytes.fromhex('0100000200300000000000000000000000000000')
    os.setxattr('program', 'security.capability', value)
    kept = os.getxattr('program', 'security.capability') == value
    write('program', 'x', 'a')
    return kept, tried(os.getxattr, 'program', 'security.capability')


# attributes


@check
def xattrs():
    os.setxattr('f', 'user.new', b'1')
    os.setxattr('d', 'trusted.t', b'2')
    return (
        sorted(os.listxattr('f')),
        os.getxattr('f', 'user.lower'),
        tried(os.setxattr, 'f', 'user.new', b'', os.XATTR_CREATE),
        tried(os.setxattr, 'f', 'user.none', b'', os.XATTR_REPLACE),
        tried(os.removexattr, 'f', 'user.lower'),
        tried(os.getxattr, 'f', 'user.lower'),
        tried(os.setxattr, 'l', 'user.x', b'', follow_symlinks=False),
        tried(os.setxattr, 'f', 'bad.name', b''),
        tried(os.setxattr, 'f', 'user.' + 'n' * 251, b''),
        sorted(os.listxattr('d')),
        as_user(1000, lambda: (os.listxattr('d'), tried(os.getxattr, 'd', 'trusted.t'))),
    )


def times_of(path):
    found = os.lstat(path)
    return found.st_mtime_ns, found.st_ctime_ns


def changed(path, work):
    """Whether mtime and ctime changed by `work`."""
    before = times_of(path)
    settle()
    work()
    return tuple(a != b for a, b in zip(before, times_of(path)))


@check
def times_of_files():
    return {
        'write': changed('f', lambda: write('f', 'x', 'a')),
        'chmod': changed('f', lambda: os.chmod('f', 0o600)),
        'chown': changed('f', lambda: os.chown('f', 1, 1)),
        'link': changed('f', lambda: os.link('f', 'linked')),
        'rename': changed('f', lambda: os.rename('f', 'g') or os.rename('g', 'f')),
        'xattr': changed('f', lambda: os.setxattr('f', 'user.t', b'')),
        'read': changed('f', lambda: read('f')),
        'empty write': changed('f', lambda: write('f', '', 'a')),
        'truncate alike': changed('f', lambda: os.truncate('f', os.stat('f').st_size)),
    }


@check
def times_of_lower_files():
    return {
        'chmod': changed('f', lambda: os.chmod('f', 0o600)),
        'open for writing': changed('h1', lambda: os.close(os.open('h1', os.O_RDWR))),
        'write': changed('program', lambda: write('program', 'x', 'a')),
        'read': changed('big', lambda: read('suid')),
    }


@check
def times_of_directories():
    return {
        'create': changed('d', lambda: write('d/new', '')),
        'write': changed('d', lambda: write('d/a', 'x')),
        'unlink': changed('d', lambda: os.unlink('d/b')),
        'rename inside': changed('d', lambda: os.rename('d/new', 'd/newer')),
        'rename away': changed('d', lambda: os.rename('d/newer', 'away')),
        'mkdir': changed('d', lambda: os.mkdir('d/dir')),
        'list': changed('d', lambda: os.listdir('d')),
        'below': changed('d', lambda: write('d/sub/y', '')),
    }


@check
def utimes():
    os.utime('f', ns=(1_000_000_001, 2_000_000_002))
    os.utime('l', ns=(3_000_000_003, 4_000_000_004), follow_symlinks=False)
    os.utime('d', ns=(5_000_000_005, -5_000_000_006))
    return [os.lstat(path).st_mtime_ns for path in ('f', 'l', 'd')], as_user(1000, lambda: tried(os.utime, 'f', (0, 0)))


@check
def inode_numbers_stay():
    before = os.stat('f').st_ino, os.stat('d').st_ino
    write('f', 'x', 'a')
    os.chmod('d', 0o700)
    listed = {entry.name: entry.inode() for entry in os.scandir('.')}
    return (os.stat('f').st_ino, os.stat('d').st_ino) == before, listed['f'] == before[0], listed['d'] == before[1]


@check
def one_device():
    write('upper', '')
    devices = {os.lstat(path).st_dev for path in ('upper', 'd', 'l', 'f')}
    return len(devices)


# directories, events


@check
def listing_while_deleting():
    for at in range(300):
        write(f'd/{at}', '')
    seen = []
    with os.scandir('d') as entries:
        for entry in entries:
            seen.append(entry.name)
            if entry.name.isdigit():
                os.unlink(f'd/{entry.name}')
    return len(seen), len(set(seen)), sorted(os.listdir('d'))


@check
def listing_twice():
    fd = os.open('d', os.O_RDONLY)
    first = sorted(os.listdir(fd))
    write('d/new', '')
    os.unlink('d/a')
    os.lseek(fd, 0, os.SEEK_SET)
    return first, sorted(os.listdir(fd))


@check
def special_files():
    os.mknod('null', stat.S_IFCHR | 0o666, os.makedev(1, 3))
    server = socket.socket(socket.AF_UNIX)
    server.bind('socket')
    server.listen()
    client = socket.socket(socket.AF_UNIX)
    client.connect('socket')
    fifo = os.open('fifo', os.O_RDWR)
    os.write(fifo, b'through')
    return os.read(fifo, 99), open('null').read(), stat.S_ISSOCK(os.lstat('socket').st_mode)


@check
def events():
    fd = libc.inotify_init1(os.O_NONBLOCK)
    libc.inotify_add_watch(fd, b'd', 0x100 | 0x200 | 0x2 | 0x40 | 0x80)
    write('d/new', 'x')
    os.rename('d/new', 'd/newer')
    os.unlink('d/newer')
    select.select([fd], [], [], 1)
    data, masks = os.read(fd, 4096), []
    while data:
        _, mask, _, length = struct.unpack('iIII', data[:16])
        masks.append(hex(mask))
        data = data[16 + length:]
    return masks


@check
def sync():
    fd = os.open('f', os.O_RDWR)
    os.write(fd, b'x')
    directory = os.open('d', os.O_RDONLY)
    return tried(os.fsync, fd), tried(os.fdatasync, fd), tried(os.fsync, directory), libc.syncfs(directory)


@check
def working_directory():
    def inside():
        os.chdir('d/sub')
        os.chmod('.', 0o700)
        write('here', 'x')
        return os.getcwd().split('/')[-2:], sorted(os.listdir('.')), sorted(os.listdir('..'))

    return as_user(0, inside)


# descriptors of lower files, holes, offsets of directories


@check
def attributes_by_a_descriptor_opened_for_reading():
    """The file is copied up by the first of these calls, below a descriptor of the lower one."""
    fd = os.open('f', os.O_RDONLY)
    os.fchmod(fd, 0o640)
    os.fchown(fd, 3, 4)
    os.utime(fd, ns=(5_000_000_001, 6_000_000_002))
    os.setxattr(fd, 'user.by-fd', b'1')
    found = os.stat('f')
    return mode('f'), found.st_uid, found.st_gid, found.st_mtime_ns, os.getxattr('f', 'user.by-fd'), os.read(fd, 99)


@check
def write_through_a_descriptor_of_a_renamed_file():
    fd = os.open('f', os.O_RDWR | os.O_APPEND)
    os.rename('f', 'd/moved')
    os.write(fd, b'+')
    os.pwrite(fd, b'-', 0)
    return read('d/moved'), tried(os.write, os.open('d/moved', os.O_RDONLY), b'x')


@check
def truncate_when_opened():
    fd = os.open('big', os.O_RDWR | os.O_TRUNC)
    size = os.fstat(fd).st_size
    os.ftruncate(fd, 5)
    return size, os.read(fd, 99), tried(os.ftruncate, os.open('f', os.O_RDONLY), 0)


def fallocate(fd, how, offset, length):
    if libc.fallocate(fd, how, ctypes.c_long(offset), ctypes.c_long(length)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@check
def fallocate_modes():
    keep, punch, zero, collapse, insert = 1, 2, 16, 8, 32
    fd = os.open('big', os.O_RDWR)
    answers = [
        tried(fallocate, fd, keep, 0, 1 << 20),
        tried(fallocate, fd, punch | keep, 4096, 8192),
        tried(fallocate, fd, zero, 16384, 4096),
        tried(fallocate, fd, punch, 0, 4096),
        tried(fallocate, os.open('big', os.O_RDONLY), 0, 0, 4096),
    ]
    size = os.fstat(fd).st_size
    return answers, size, os.pread(fd, 8192, 4096) == bytes(8192), os.pread(fd, 1, 4095), os.pread(fd, 1, 20480)


@check
def hole_in_a_lower_file():
    """A hole is seen through the overlay before and after the copy-up, which may fill it but not change a byte."""
    fd = os.open('big', os.O_RDWR)
    fallocate(fd, 3, 8192, 4096)
    return os.lseek(fd, 0, os.SEEK_HOLE) in (8192, 100_000), os.lseek(fd, 8192, os.SEEK_DATA) >= 8192, tried(
        os.lseek, fd, 100_000, os.SEEK_DATA
    )


@check
def direct_io():
    fd = tried(os.open, 'big', os.O_RDONLY | os.O_DIRECT)
    if isinstance(fd, str):
        return fd
    buffer = mmap.mmap(-1, 4096)
    return os.readv(fd, [buffer]), buffer[:3], tried(os.readv, fd, [bytearray(7)]) in (7, 'EINVAL')


@check
def send_and_splice():
    source = os.open('big', os.O_RDONLY)
    target = os.open('sent', os.O_WRONLY | os.O_CREAT)
    sent = os.sendfile(target, source, 0, 5000)
    reader, writer = os.pipe()
    spliced = os.splice(source, writer, 1000, offset_src=10)
    return sent, os.stat('sent').st_size, spliced, len(os.read(reader, 4096))


@check
def listing_while_adding():
    """Names that were there from the first to the last are seen exactly once."""
    for at in range(300):
        write(f'd/{at}', '')
    seen = []
    with os.scandir('d') as entries:
        for at, entry in enumerate(entries):
            seen.append(entry.name)
            if at < 100:
                write(f'd/more{at}', '')
    old = [name for name in seen if name.isdigit() or name in ('a', 'b', 'sub')]
    return len(old), len(set(old)), len(seen) == len(set(seen))


@check
def seeking_in_a_directory():
    libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
    libc.telldir.restype = ctypes.c_long
    stream = ctypes.c_void_p(libc.opendir(b'd'))

    def name():
        entry = libc.readdir(stream)
        return ctypes.string_at(entry + 19) if entry else None

    first = name()
    place = ctypes.c_long(libc.telldir(stream))
    second = name()
    while name():
        pass
    libc.seekdir(stream, place)
    again = name()
    libc.rewinddir(stream)
    answer = again == second, name() == first
    libc.closedir(stream)
    return answer


@check
def links():
    os.link('l', 'hard', follow_symlinks=False)
    return (
        os.lstat('hard').st_ino == os.lstat('l').st_ino,
        os.readlink('hard'),
        tried(os.link, 'd', 'x'),
        tried(os.link, 'f', 'd/a'),
        tried(os.link, 'nothing', 'x'),
        tried(os.link, 'f', 'nowhere/x'),
        os.stat('l').st_nlink,
    )


@check
def unlink_one_of_two_lower_names():
    os.unlink('h1')
    return os.path.exists('h1'), read('h2')


@check
def exclusive_names_by_case_and_dots():
    exclusive = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    return (
        isinstance(tried(os.open, 'F', exclusive), int),
        isinstance(tried(os.open, '.wh.f', exclusive), int),
        isinstance(tried(os.open, '.hidden', exclusive), int),
        sorted(name for name in os.listdir('.') if name.startswith('.') or name == 'F'),
        read('f'),
    )


@check
def immutable_and_append_only():
    def flags(path, value):
        fd = os.open(path, os.O_RDONLY)
        (others,) = struct.unpack('l', fcntl.ioctl(fd, 0x80086601, bytes(8)))
        fcntl.ioctl(fd, 0x40086602, struct.pack('l', others & ~0x30 | value))

    untouched = tried(flags, 'f', 0x10), tried(os.unlink, 'f'), tried(flags, 'f', 0)
    write('d/a', 'a')
    immutable = tried(flags, 'd/a', 0x10), tried(write, 'd/a', 'x'), tried(os.unlink, 'd/a')
    append_only = tried(flags, 'd/a', 0x20), tried(write, 'd/a', 'x'), tried(write, 'd/a', '+', 'a'), tried(flags, 'd/a', 0)
    return untouched, immutable, append_only, read('d/a')


@check
def open_file_description_locks():
    lock, get = 37, 36
    one, two = (os.open('f', os.O_RDWR) for _ in range(2))
    wanted = struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 1, 0)
    fcntl.fcntl(one, lock, wanted)
    held = struct.unpack('hhqqi4x', fcntl.fcntl(two, get, wanted))
    return tried(fcntl.fcntl, two, lock, wanted), held[0] == fcntl.F_WRLCK


@check
def leases():
    fd = os.open('f', os.O_RDONLY)
    return tried(fcntl.fcntl, fd, fcntl.F_SETLEASE, fcntl.F_RDLCK), fcntl.fcntl(fd, fcntl.F_GETLEASE)


@check
def private_mapping_and_truncation():
    fd = os.open('big', os.O_RDWR)
    memory = mmap.mmap(fd, 100_000)
    memory[99_999:100_000] = b'!'
    os.ftruncate(fd, 8192)
    os.ftruncate(fd, 100_000)
    return memory[8191:8192], memory[99_999:100_000], os.pread(fd, 1, 99_999)


@check
def statfs_and_limits():
    found = os.statvfs('.')
    return found.f_namemax, os.pathconf('.', 'PC_NAME_MAX'), found.f_bavail > 0, found.f_flag & (os.ST_RDONLY | os.ST_NOSUID)


@check
def fifo_between_processes():
    def other():
        fd = os.open('fifo', os.O_WRONLY)
        os.write(fd, b'from there')

    pid = os.fork()
    if pid == 0:
        other()
        os._exit(0)
    answer = read('fifo')
    os.waitpid(pid, 0)
    return answer


def main():
    if sys.argv[1] == '--list':
        print('\n'.join(CHECKS))
        return
    os.umask(0o022)
    for name, function in CHECKS.items():
        os.chdir(os.path.join(sys.argv[1], name))
        try:
            answer = repr(function())
        except Exception as error:
            answer = f'raised {error!r}'
        print(f'{name}: {answer}', flush=True)
        os.chdir('/')


main()
