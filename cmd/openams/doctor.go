package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openams/openams/blob"
	"github.com/openams/openams/blob/disk"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/encoder"
	"github.com/openams/openams/ffmpeg"
)

func doctorCommand() *cobra.Command {
	var data, program, probe string
	var repair bool
	cmd := &cobra.Command{
		Use:   "doctor [--data DIR [--repair]]",
		Short: "Check ffmpeg, and the records of a stopped server against the bytes on its disk",
		Long: `doctor lists what openams uses of ffmpeg, and what does not work without a
feature that this ffmpeg lacks, and, without --data, whether a graphics card can
encode. Then it reads every byte that the catalog of DIR
names and compares it with the sums that were kept when it was written. It names
damaged and missing files, and files that nothing names. Nothing is changed,
unless --repair moves the latter aside, to DIR/blobs/.orphans. It fails when a
blob is damaged or ffmpeg cannot encode.`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&program, "ffmpeg", os.Getenv("OPENAMS_FFMPEG"), "ffmpeg program")
	cmd.Flags().StringVar(&probe, "ffprobe", os.Getenv("OPENAMS_FFPROBE"), "ffprobe program")
	cmd.Flags().StringVar(&data, "data", os.Getenv("OPENAMS_DATA"), "the data folder")
	cmd.Flags().BoolVar(&repair, "repair", false, "move files that nothing names aside")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		err := examineTools(cmd, program, probe, data == "")
		if data == "" && repair {
			return errors.New("doctor: which data folder is to be repaired? Say --data DIR")
		}
		if data != "" {
			err = errors.Join(err, doctor(cmd, data, repair))
		}
		return err
	}
	return cmd
}

// examineTools lists what ffmpeg can do for openams, on request with graphics
// cards too, which takes some seconds.
func examineTools(cmd *cobra.Command, program, probe string, cards bool) error {
	out := cmd.OutOrStdout()
	tools, err := ffmpeg.Find(program, probe)
	if err != nil {
		return fmt.Errorf("doctor: %w", err)
	}
	build, err := tools.Check(cmd.Context())
	if build != nil {
		fmt.Fprintf(out, "ffmpeg %s (%s)\n", build.Version, tools.FFmpeg)
		for _, f := range build.Features {
			switch {
			case f.Have:
				fmt.Fprintf(out, "  yes  %s\n", f)
			case f.For == "":
				fmt.Fprintf(out, "  NO   %s: openams cannot encode without it\n", f)
			default:
				fmt.Fprintf(out, "  no   %s: not available: %s\n", f, f.For)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("doctor: %w", err)
	}
	for _, c := range []struct {
		have         bool
		what, lesser string
	}{
		{build.Apart, "ffmpeg runs without privileges and without a network", "this machine allows no user namespaces; ffmpeg opens files and pipes only, as it is told"},
		{build.Confined, "ffmpeg sees no files but those of its task", "the kernel has no Landlock"},
	} {
		if c.have {
			fmt.Fprintf(out, "  yes  %s\n", c.what)
		} else {
			fmt.Fprintf(out, "  no   %s: %s\n", c.what, c.lesser)
		}
	}
	if !cards {
		return nil
	}
	trials, err := encoder.TryHardware(cmd.Context(), tools, "auto")
	if err != nil {
		return fmt.Errorf("doctor: %w", err)
	}
	if works := encoder.Working(trials); works != nil {
		fmt.Fprintf(out, "  yes  hardware encodes (used with --hardware auto): %s\n", strings.Join(works, ", "))
	} else {
		fmt.Fprintf(out, "  no   hardware encodes: none of %d encoders could\n", len(trials))
	}
	return nil
}

func doctor(cmd *cobra.Command, data string, repair bool) (err error) {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	// Whoever mistypes the folder is not told that an empty one is sound.
	if info, err := os.Stat(filepath.Join(data, "openams.db")); err != nil {
		return fmt.Errorf("doctor: %s is not the data folder of a server: %w", data, err)
	} else if info.Size() == 0 { // opening would make a new catalog, and --repair move every blob aside
		return fmt.Errorf("doctor: %s is empty: the records are lost; restore the file before anything else", filepath.Join(data, "openams.db"))
	}
	lock, err := openData(data)
	if err != nil {
		return err
	}
	defer lock.Close()
	key, err := os.ReadFile(filepath.Join(data, "secrets", "catalog.key"))
	if err != nil {
		return err
	}
	if len(key) != 32 {
		return fmt.Errorf("doctor: secrets/catalog.key is not a key of 32 bytes")
	}
	db, err := catalog.Open(ctx, catalog.Config{Path: filepath.Join(data, "openams.db"), Key: [32]byte(key)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Check(ctx); err != nil {
		return fmt.Errorf("doctor: %w; nothing was changed", err)
	}
	driver, err := disk.New(filepath.Join(data, "blobs"))
	if err != nil {
		return err
	}
	store := blob.New(db, driver, blob.Options{})
	sum, err := store.Check(ctx, func(d blob.Damage) { tellDamage(out, d) }, func(file string) {
		fmt.Fprintf(out, "no record names %s\n", file)
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d blobs and blocks, %d bytes read: %d damaged; %d files that nothing names\n", sum.Blobs, sum.Bytes, sum.Damaged, sum.Strays)
	if repair {
		found, err := store.Recover(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "moved aside to blobs/.orphans: %d; unfinished uploads removed: %d\n", found.Aside, found.Removed)
	}
	if sum.Damaged > 0 {
		return fmt.Errorf("doctor: %d blobs are damaged", sum.Damaged)
	}
	return nil
}

func tellDamage(out io.Writer, d blob.Damage) {
	name := d.Blob.StorageAccount + "/" + d.Blob.Container + "/" + d.Blob.Name
	if d.Blob.Snapshot != "" {
		name += " of " + d.Blob.Snapshot
	}
	fmt.Fprintf(out, "damaged: %q, file %s: %v\n", name, d.File, d.Err)
}
