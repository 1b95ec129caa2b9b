package pluginhost

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"debug/macho"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"
)

// inspection is what reading a file tells, without running it.
type inspection struct {
	sha256 string
	size   int64
	build  *Build
}

// errIncomplete says that a program ends before its own table of contents does:
// it is still being copied, however long ago the last part came.
var errIncomplete = errors.New("the file is shorter than its headers say")

// maxHeaders is how much of a file is read to learn what it says of itself, in
// bytes.
const maxHeaders = 32 << 20

// inspect reads a file that has settled and has this size. The error is
// errIncomplete, a *refusal, or of the file system.
func inspect(r io.ReaderAt, size int64) (out inspection, err error) {
	// Nobody has approved the file yet. The parsers of the standard library are made
	// for what a linker wrote, not for what somebody wrote to break them.
	defer func() {
		if recover() != nil {
			out, err = inspection{}, &refusal{CodeNotPlugin, "The file is no program: what it says of itself cannot be read."}
		}
	}()
	headers := &frugal{r, maxHeaders}
	err = checkFormat(headers, size)
	if headers.left < 0 {
		err = &refusal{CodeNotPlugin, "The file is no program: it says too much of itself."}
	}
	if err != nil {
		return inspection{}, err
	}
	sum, size, err := hashOf(io.NewSectionReader(r, 0, size))
	if err != nil {
		return inspection{}, err
	}
	return inspection{sha256: sum, size: size, build: buildOf(&frugal{r, maxHeaders})}, nil
}

// frugal is a file of which only so many bytes are read.
type frugal struct {
	r    io.ReaderAt
	left int64 // negative once it was too much
}

var errTooMuch = errors.New("too much of the file was read")

// ReadAt implements io.ReaderAt.
func (f *frugal) ReadAt(p []byte, off int64) (int, error) {
	if f.left -= int64(len(p)); f.left < 0 {
		return 0, errTooMuch
	}
	return f.r.ReadAt(p, off)
}

func hashOf(r io.Reader) (sum string, size int64, err error) {
	h := sha256.New()
	size, err = io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), size, err
}

// buildOf reads the build information that the Go linker leaves; nil for
// programs in other languages.
func buildOf(r io.ReaderAt) *Build {
	info, err := buildinfo.Read(r)
	if err != nil {
		return nil
	}
	b := &Build{GoVersion: info.GoVersion, Module: info.Main.Path, ModuleVersion: info.Main.Version}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.VCSRevision = s.Value
		}
	}
	return b
}

// checkFormat says whether the file is a program for this machine. A script with
// an interpreter line passes: what it is will show when it runs.
func checkFormat(r io.ReaderAt, size int64) error {
	head := make([]byte, 4)
	if _, err := r.ReadAt(head, 0); err != nil {
		return &refusal{CodeNotPlugin, "The file is no program."}
	}
	switch {
	case bytes.HasPrefix(head, []byte("#!")):
		return nil
	case bytes.Equal(head, []byte(elf.ELFMAG)):
		return checkELF(r, size)
	case bytes.HasPrefix(head, []byte("MZ")):
		return wrongPlatform("windows")
	default:
		return checkMachO(r)
	}
}

var elfMachines = map[string]elf.Machine{
	"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "386": elf.EM_386, "arm": elf.EM_ARM,
	"riscv64": elf.EM_RISCV, "ppc64le": elf.EM_PPC64, "s390x": elf.EM_S390, "loong64": elf.EM_LOONGARCH,
}

func checkELF(r io.ReaderAt, size int64) error {
	prog, err := elf.NewFile(r)
	if err != nil {
		// The headers themselves are cut, or nonsense.
		return errIncomplete
	}
	defer func() { _ = prog.Close() }() // the file is closed by its owner
	for _, p := range prog.Progs {
		if p.Type == elf.PT_LOAD && int64(p.Off+p.Filesz) > size {
			return errIncomplete
		}
	}
	for _, s := range prog.Sections {
		if s.Type != elf.SHT_NOBITS && s.Type != elf.SHT_NULL && int64(s.Offset+s.FileSize) > size {
			return errIncomplete
		}
	}
	switch {
	case runtime.GOOS == "darwin":
		return wrongPlatform("linux")
	case prog.Machine != elfMachines[runtime.GOARCH]:
		for arch, machine := range elfMachines {
			if machine == prog.Machine {
				return wrongPlatform(arch)
			}
		}
		return wrongPlatform(prog.Machine.String())
	case prog.Type != elf.ET_EXEC && prog.Type != elf.ET_DYN:
		return &refusal{CodeNotPlugin, "The file is no program."}
	}
	return nil
}

func checkMachO(r io.ReaderAt) error {
	prog, err := macho.NewFile(r)
	if err != nil {
		if fat, fatErr := macho.NewFatFile(r); fatErr == nil {
			_ = fat.Close()
			if runtime.GOOS == "darwin" {
				return nil
			}
			return wrongPlatform("darwin")
		}
		return &refusal{CodeNotPlugin, "The file is no program."}
	}
	defer func() { _ = prog.Close() }() // the file is closed by its owner
	cpus := map[string]macho.Cpu{"amd64": macho.CpuAmd64, "arm64": macho.CpuArm64}
	if runtime.GOOS != "darwin" || prog.Cpu != cpus[runtime.GOARCH] {
		return wrongPlatform("darwin, " + prog.Cpu.String())
	}
	return nil
}

func wrongPlatform(what string) error {
	return &refusal{CodeWrongPlatform, fmt.Sprintf("The program is for another kind of machine (%s); this one is %s/%s.", what, runtime.GOOS, runtime.GOARCH)}
}
