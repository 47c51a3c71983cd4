package main

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/openams/openams/identity"
)

// roles are the names that --role takes: short ones for the command line, and
// Azure's own.
var roles = []struct {
	short string
	role  identity.Role
}{
	{"owner", identity.Owner},
	{"contributor", identity.Contributor},
	{"reader", identity.Reader},
	{"account-administrator", identity.MediaAccountAdministrator},
	{"live-events-administrator", identity.MediaLiveEventsAdministrator},
	{"media-operator", identity.MediaOperator},
	{"policy-administrator", identity.MediaPolicyAdministrator},
	{"streaming-endpoints-administrator", identity.MediaStreamingEndpointsAdministrator},
}

func roleNames() string {
	var names []string
	for _, r := range roles {
		names = append(names, r.short)
	}
	return strings.Join(names, ", ")
}

// roleOf reads the name of a role, short or as Azure shows it.
func roleOf(name string) (identity.Role, error) {
	for _, r := range roles {
		if strings.EqualFold(r.short, name) || strings.EqualFold(string(r.role), name) {
			return r.role, nil
		}
	}
	return "", fmt.Errorf("%q is none of %s", name, roleNames())
}

// providerRoles reads what the values of a provider's claim allow, such as
// "media-team=contributor" or "viewers=reader@/subscriptions/…".
func providerRoles(settings []string) (map[string][]identity.Assignment, error) {
	all := make(map[string][]identity.Assignment)
	for _, s := range settings {
		value, rest, ok := strings.Cut(s, "=")
		name, scope, scoped := strings.Cut(rest, "@")
		if !scoped {
			scope = "/"
		}
		role, err := roleOf(name)
		if !ok || value == "" || err != nil || !strings.HasPrefix(scope, "/") {
			return nil, fmt.Errorf("%q is not VALUE=ROLE or VALUE=ROLE@SCOPE with a role of %s", s, roleNames())
		}
		all[value] = append(all[value], identity.Assignment{Role: role, Scope: scope})
	}
	return all, nil
}

// principalsCommand keeps the service principals and managed identities of a
// data folder. A running server sees each change at once.
func principalsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "principals",
		Short: "Keep the service principals and managed identities of a data folder",
		Long: `principals keeps the programs that may call: service principals sign in with a
client id and a secret, or an assertion that they sign with the key of their
certificate; managed identities ask /msi/token with a secret alone.
A server that runs on the data folder sees every change at once.`,
	}
	folder := folderFlag(cmd)
	asJSON := jsonFlag(cmd)

	var kind, certificate string
	create := &cobra.Command{
		Use:   "create NAME --role ROLE",
		Short: "Make a principal and show its secret, this once",
		Args:  cobra.ExactArgs(1),
	}
	assigned := assignmentFlags(create)
	create.Flags().StringVar(&kind, "kind", "application", "application or managed-identity")
	create.Flags().StringVar(&certificate, "certificate", "", certificateUsage)
	create.RunE = func(cmd *cobra.Command, args []string) error {
		f, err := folder()
		if err != nil {
			return err
		}
		assignments, err := assigned()
		if err != nil {
			return err
		}
		kinds := map[string]identity.Kind{"application": identity.Application, "managed-identity": identity.ManagedIdentity}
		if kinds[kind] == "" {
			return fmt.Errorf("--kind %q is neither application nor managed-identity", kind)
		}
		if certificate != "" {
			if kind != "application" {
				return errors.New("a managed identity has a secret and no --certificate")
			}
			c, err := readCertificate(certificate)
			if err != nil {
				return err
			}
			id, err := f.CreateSigned(args[0], assignments, c)
			if err != nil {
				return err
			}
			return printSecret(cmd.OutOrStdout(), *asJSON, f, id, "")
		}
		id, secret, err := f.Create(args[0], kinds[kind], assignments)
		if err != nil {
			return err
		}
		if err := printSecret(cmd.OutOrStdout(), *asJSON, f, id, secret); err != nil || kind == "application" || *asJSON {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "Programs find it with IDENTITY_ENDPOINT=https://HOST:PORT/msi/token and the secret as IDENTITY_HEADER.")
		return err
	}
	var fresh string
	rotate := &cobra.Command{
		Use:   "rotate NAME|CLIENT-ID",
		Short: "Give a principal a new secret, and show it this once, or a new certificate",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := folder()
			if err != nil {
				return err
			}
			var id, secret string
			if fresh == "" {
				id, secret, err = f.Rotate(args[0])
			} else {
				c, cerr := readCertificate(fresh)
				if cerr != nil {
					return cerr
				}
				id, err = f.Register(args[0], c)
			}
			if err != nil {
				return unknown("principal", args[0], err)
			}
			return printSecret(cmd.OutOrStdout(), *asJSON, f, id, secret)
		},
	}
	rotate.Flags().StringVar(&fresh, "certificate", "", certificateUsage)
	remove := &cobra.Command{
		Use:   "delete NAME|CLIENT-ID",
		Short: "Take a principal away; its tokens end",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := folder()
			if err != nil {
				return err
			}
			return unknown("principal", args[0], f.Delete(args[0]))
		},
	}
	list := &cobra.Command{
		Use:   "list",
		Short: "List the principals",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := folder()
			if err != nil {
				return err
			}
			signsIn := func(p *identity.Principal) string {
				if _, c, err := f.Certificate(cmd.Context(), p.AppID); err == nil {
					return "certificate until " + c.NotAfter.UTC().Format(time.DateOnly)
				}
				return "secret"
			}
			all, err := f.Principals()
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), all)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tKIND\tCLIENT ID\tSIGNS IN BY\tROLES")
			for _, p := range all {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", p.Name, p.Kind, p.AppID, signsIn(p), describe(p.Assignments))
			}
			return w.Flush()
		},
	}
	cmd.AddCommand(create, list, rotate, remove)
	return cmd
}

// folderFlag adds --data and returns what opens the identity of that folder.
func folderFlag(cmd *cobra.Command) func() (*identity.Folder, error) {
	data := cmd.PersistentFlags().String("data", os.Getenv("OPENAMS_DATA"), "data folder (or OPENAMS_DATA)")
	return func() (*identity.Folder, error) {
		if *data == "" {
			return nil, errors.New("which data folder? Say --data DIR (or OPENAMS_DATA)")
		}
		// A misspelt name must not make a folder.
		if st, err := os.Stat(*data); err != nil || !st.IsDir() {
			return nil, fmt.Errorf("there is no data folder %s", *data)
		}
		return identity.Open(filepath.Join(*data, "secrets"))
	}
}

func jsonFlag(cmd *cobra.Command) *bool {
	return cmd.PersistentFlags().Bool("json", false, "print JSON")
}

// assignmentFlags adds --role and --scope and returns what reads them.
func assignmentFlags(cmd *cobra.Command) func() ([]identity.Assignment, error) {
	given := cmd.Flags().StringSlice("role", nil, "role, may be repeated: "+roleNames())
	scope := cmd.Flags().String("scope", "/", "Resource Manager id at and below which the roles hold")
	return func() ([]identity.Assignment, error) {
		var all []identity.Assignment
		for _, name := range *given {
			role, err := roleOf(name)
			if err != nil {
				return nil, fmt.Errorf("--role: %w", err)
			}
			all = append(all, identity.Assignment{Role: role, Scope: *scope})
		}
		if len(all) == 0 {
			return nil, errors.New("without a role nothing is allowed: say --role")
		}
		return all, nil
	}
}

func describe(assignments []identity.Assignment) string {
	var all []string
	for _, a := range assignments {
		s := string(a.Role)
		if a.Scope != "/" {
			s += " at " + a.Scope
		}
		all = append(all, s)
	}
	return strings.Join(all, ", ")
}

// printSecret says how a principal signs in. An empty secret: by a certificate.
func printSecret(w io.Writer, asJSON bool, f *identity.Folder, id, secret string) error {
	if asJSON {
		made := map[string]string{"tenantId": f.TenantID, "clientId": id}
		if secret != "" {
			made["clientSecret"] = secret
		}
		return printJSON(w, made)
	}
	_, err := fmt.Fprintf(w, "tenant         %s\nclient id      %s\n", f.TenantID, id)
	if err == nil && secret != "" {
		_, err = fmt.Fprintf(w, "client secret  %s\n", secret)
	}
	return err
}

const certificateUsage = "file of the certificate (PEM or DER) by whose key the principal signs in, in place of a secret"

// readCertificate reads the first certificate of a file. A private key beside it
// is not looked at.
func readCertificate(path string) (*x509.Certificate, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	der := b
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			der = block.Bytes
			break
		}
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%s: no certificate in PEM or DER: %w", path, err)
	}
	return c, nil
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// unknown says who is not there.
func unknown(what, name string, err error) error {
	if errors.Is(err, identity.ErrNoPrincipal) {
		return fmt.Errorf("there is no %s %q", what, name)
	}
	return err
}
