package ams

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// reservedInNames may not occur in the name of an entity
// (documented: developing with the v3 APIs, "Naming conventions").
const reservedInNames = `<>%&:\?/*+.'`

// ValidateName reports the first rule that the name of an entity (asset,
// transform, job, locator, policy) breaks. what names the kind of entity.
func ValidateName(what, name string) error {
	switch {
	case name == "":
		return Invalidf("name", "The %s name is empty.", what)
	case !utf8.ValidString(name):
		return Invalidf("name", "The %s name is not valid UTF-8.", what)
	case utf8.RuneCountInString(name) > 260: // v3 counts characters, not bytes
		return Invalidf("name", "The %s name is longer than 260 characters.", what)
	case strings.ContainsAny(name, reservedInNames) || strings.ContainsFunc(name, unicode.IsControl):
		return Invalidf("name", "The %s name '%s' has a reserved character. Names can't include: < > %% & : \\ ? / * + . ' or control characters.", what, name)
	}
	return nil
}

var (
	accountName   = regexp.MustCompile(`^[a-z0-9]{3,24}$`)
	endpointName  = regexp.MustCompile(`^[a-zA-Z0-9]+(-*[a-zA-Z0-9])*$`)
	containerName = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9])*$`)
)

// ValidateAccountName reports whether name may name a media services account
// (recorded: 3-24 lower-case letters and digits) or a storage account.
func ValidateAccountName(name string) error {
	if !accountName.MatchString(name) {
		return Invalidf("name", "The account name '%s' must be 3 to 24 characters, lower-case letters and digits only.", name)
	}
	return nil
}

// ValidateEndpointName reports whether name may name a streaming endpoint.
func ValidateEndpointName(name string) error {
	if len(name) > 24 || !endpointName.MatchString(name) {
		return Invalidf("name", "The streaming endpoint name '%s' must be 1 to 24 letters, digits and inner hyphens.", name)
	}
	return nil
}

// ValidateContainerName reports whether name may name a blob container
// (documented: 3-63 lower-case letters, digits and single inner hyphens).
func ValidateContainerName(name string) error {
	switch name {
	case "$root", "$logs", "$web":
		return nil
	}
	if len(name) < 3 || len(name) > 63 || !containerName.MatchString(name) {
		return Invalidf("properties.container", "The container name '%s' must be 3 to 63 characters: lower-case letters, digits and single hyphens between them.", name)
	}
	return nil
}

// ValidateFileName reports whether a blob's name may be the name of a file of
// an asset: in the container's root and valid on NTFS
// (documented: manage assets; developing with the v3 APIs).
func ValidateFileName(name string) error {
	stem, _, _ := strings.Cut(strings.ToUpper(name), ".")
	switch {
	case strings.ContainsAny(name, `/\`):
		return Invalidf("files", "The file '%s' is not in the root of the asset's container. Only blobs in the container root are supported, not paths in the file name.", name)
	case name == "" || utf8.RuneCountInString(name) > 255:
		return Invalidf("files", "A file name must have 1 to 255 characters.")
	case strings.ContainsAny(name, `<>:"|?*`) || strings.ContainsFunc(name, unicode.IsControl),
		strings.HasSuffix(name, ".") || strings.HasSuffix(name, " "),
		deviceName(stem):
		return Invalidf("files", "The file name '%s' is not a valid NTFS file name.", name)
	}
	return nil
}

// deviceName reports whether the upper-case stem of a file name is reserved
// on NTFS for a device.
func deviceName(stem string) bool {
	switch stem {
	case "CON", "PRN", "AUX", "NUL":
		return true
	}
	return len(stem) == 4 && (stem[:3] == "COM" || stem[:3] == "LPT") && stem[3] >= '1' && stem[3] <= '9'
}
