package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/openams/openams/probe"
)

func probeCommand() *cobra.Command {
	var c probe.Config
	var keys, headers []string
	var caFile, save string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "probe URL",
		Short: "Play a manifest like a strict player and say what is wrong",
		Long: `probe fetches an HLS, DASH or Smooth Streaming manifest and every segment that
it names, holds them against the rules of the formats and against what the
manifest claims, and lists what is wrong. It ends with status 1 if there is an
error; warnings alone are no error.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if c.Keys, err = contentKeys(keys); err != nil {
				return err
			}
			c.Header = http.Header{}
			for _, h := range headers {
				name, value, ok := strings.Cut(h, ":")
				if !ok {
					return fmt.Errorf("--header %q is not of the form name: value", h)
				}
				c.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
			}
			if caFile != "" {
				trusting, err := newClient(&endpoints{CAFile: caFile})
				if err != nil {
					return err
				}
				c.Client = trusting.http
				c.Client.Timeout = time.Minute
			}
			if save != "" {
				c.Save = saver(save)
			}
			report, err := probe.Probe(cmd.Context(), args[0], c)
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "  ")
				err = e.Encode(report)
			} else {
				printReport(cmd.OutOrStdout(), report)
			}
			if n := report.Faults(); n > 0 {
				return fmt.Errorf("%d errors", n)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.Token, "token", "", "bearer token for keys and licences")
	f.StringArrayVar(&keys, "key", nil, "content key as KEYID:KEY in hexadecimal (repeatable)")
	f.StringVar(&c.License, "license", "", "URL of a W3C ClearKey licence server; by default that of the manifest")
	f.StringArrayVar(&headers, "header", nil, "header for each request as \"name: value\" (repeatable)")
	f.IntVar(&c.Segments, "segments", 0, "read this many segments of each rendition; 0: all")
	f.Int64Var(&c.MaxBytes, "max-bytes", 0, "stop after so many bytes; 0: 64 GiB")
	f.StringVar(&caFile, "ca-file", "", "certificates to trust, in PEM")
	f.StringVar(&save, "save", "", "write each rendition, decrypted, into a file of this folder")
	f.BoolVar(&asJSON, "json", false, "print the report as JSON")
	return cmd
}

func contentKeys(list []string) (map[string][]byte, error) {
	keys := map[string][]byte{}
	for _, s := range list {
		id, value, ok := strings.Cut(s, ":")
		id = strings.ToLower(strings.ReplaceAll(id, "-", ""))
		key, err := hex.DecodeString(value)
		if raw, idErr := hex.DecodeString(id); !ok || err != nil || idErr != nil || len(key) != 16 || len(raw) != 16 {
			return nil, errors.New("a --key is not of the form KEYID:KEY, 16 bytes each in hexadecimal")
		}
		keys[id] = key
	}
	return keys, nil
}

// saver appends the parts of each stream to a file of its own.
func saver(dir string) func(string, []byte) error {
	var mu sync.Mutex
	begun := map[string]bool{}
	return func(stream string, part []byte) error {
		name := strings.Map(func(r rune) rune {
			if r == '-' || r == '.' || r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
				return r
			}
			return '_'
		}, stream)
		flags := os.O_APPEND | os.O_CREATE | os.O_WRONLY
		mu.Lock()
		if !begun[name] {
			begun[name] = true
			flags |= os.O_TRUNC
		}
		mu.Unlock()
		f, err := os.OpenFile(filepath.Join(dir, name), flags, 0o666)
		if err != nil {
			return err
		}
		_, err = f.Write(part)
		return errors.Join(err, f.Close())
	}
}

func printReport(w io.Writer, r *probe.Report) {
	live := ""
	if r.Live {
		live = ", live"
	}
	fmt.Fprintf(w, "%s%s: %d renditions, %d requests, %.1f MB\n", r.Format, live, len(r.Streams), r.Requests, float64(r.Bytes)/1e6)
	for _, s := range r.Streams {
		scheme := s.Scheme
		if scheme == "" {
			scheme = "clear"
		}
		fmt.Fprintf(w, "  %-40s %-11s %-8s %4d segments  %9.3f to %9.3f s  average %d, peak %d bit/s", s.Name, s.Kind, scheme, s.Segments, s.Start, s.End, s.Average, s.Peak)
		if s.Claimed > 0 {
			fmt.Fprintf(w, " of %d", s.Claimed)
		}
		fmt.Fprintln(w)
	}
	for _, p := range r.Problems {
		fmt.Fprintln(w, p)
	}
	if r.Dropped > 0 {
		fmt.Fprintf(w, "and %d more of these kinds\n", r.Dropped)
	}
	faults := r.Faults()
	fmt.Fprintf(w, "%d errors, %d warnings\n", faults, len(r.Problems)-faults)
}
