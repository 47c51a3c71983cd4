package restv2

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv2/odata"
)

// Bounds of what a task says in XML. The length of a TaskBody is the model's.
const (
	maxPorts = 100     // inputs of a task, and outputs
	maxXML   = 1 << 18 // bytes, of a JobTemplateBody with all its tasks
)

// A taskBody is what the XML of a task says.
type taskBody struct {
	template string // guid of the task template; empty: none
	inputs   []account.Port
	outputs  []account.OutputPort
}

// An element is an XML element with its text; mixed content is refused.
type element struct {
	name     string
	attrs    map[string]string
	text     string
	children []*element
}

func badXML(format string, args ...any) error {
	return odata.Errorf(http.StatusBadRequest, "The body of the task is not valid: "+format, args...)
}

// parseXML reads what a client says of tasks.
func parseXML(text string) (*element, error) {
	e, err := readXML(text, 4)
	if err != nil {
		return nil, badXML("%v.", err)
	}
	return e, nil
}

// readXML reads a small document, whose elements are nested so deep at most. The
// encoding that it declares is that of the text which some client wrote once;
// here it is UTF-8.
func readXML(text string, depth int) (*element, error) {
	if len(text) > maxXML {
		return nil, fmt.Errorf("it is longer than %d bytes", maxXML)
	}
	d := xml.NewDecoder(strings.NewReader(strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	root := &element{}
	path := []*element{root}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		at := path[len(path)-1]
		switch t := token.(type) {
		case xml.StartElement:
			if len(path) > depth {
				return nil, errors.New("its elements are nested too deep")
			}
			e := &element{name: t.Name.Local, attrs: map[string]string{}}
			for _, a := range t.Attr {
				if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
					e.attrs[a.Name.Local] = a.Value
				}
			}
			at.children = append(at.children, e)
			path = append(path, e)
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			at.text += string(t)
		}
	}
	if len(root.children) != 1 || strings.TrimSpace(root.text) != "" {
		return nil, errors.New("it is not one XML element")
	}
	return root.children[0], nil
}

// parseTaskBody reads the TaskBody of a task.
func parseTaskBody(text string) (taskBody, error) {
	e, err := parseXML(text)
	if err != nil {
		return taskBody{}, err
	}
	return readTaskBody(e)
}

// parseJobTemplateBody reads the JobTemplateBody of a job template.
func parseJobTemplateBody(text string) (tasks []taskBody, err error) {
	e, err := parseXML(text)
	if err != nil {
		return nil, err
	}
	if e.name != "jobTemplate" || len(e.attrs) > 0 {
		return nil, badXML("the root of a job template is a jobTemplate without attributes, not <%s>.", e.name)
	}
	if len(e.children) == 0 || len(e.children) > account.MaxTasks {
		return nil, badXML("a jobTemplate has 1 to %d taskBody elements.", account.MaxTasks)
	}
	for _, c := range e.children {
		b, err := readTaskBody(c)
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, b)
	}
	return tasks, nil
}

func readTaskBody(e *element) (b taskBody, err error) {
	if e.name != "taskBody" {
		return b, badXML("<%s> is not a taskBody.", e.name)
	}
	for name, value := range e.attrs {
		if !strings.EqualFold(name, "taskTemplateId") {
			return b, badXML("taskBody has no attribute '%s'.", name)
		}
		if b.template = guid(taskTemplateID, value); b.template == "" {
			return b, badXML("the taskTemplateId '%s' is not an id of a task template.", value)
		}
	}
	if strings.TrimSpace(e.text) != "" {
		return b, badXML("taskBody has text of its own.")
	}
	for _, c := range e.children {
		port, err := readPort(c)
		if err != nil {
			return b, err
		}
		switch c.name {
		case "inputAsset":
			if len(c.attrs) > 0 {
				return b, badXML("inputAsset has no attributes.")
			}
			b.inputs = append(b.inputs, port)
		case "outputAsset":
			out, err := readOutput(c, port)
			if err != nil {
				return b, err
			}
			b.outputs = append(b.outputs, out)
		}
	}
	switch {
	case len(b.inputs) == 0 || len(b.inputs) > maxPorts:
		return b, badXML("a taskBody has 1 to %d inputAsset elements.", maxPorts)
	case len(b.outputs) == 0 || len(b.outputs) > maxPorts:
		return b, badXML("a taskBody has 1 to %d outputAsset elements.", maxPorts)
	}
	return b, nil
}

var portText = regexp.MustCompile(`^Job(Input|Output)Asset\(([0-9]{1,4})\)$`)

func readPort(e *element) (account.Port, error) {
	if e.name != "inputAsset" && e.name != "outputAsset" || len(e.children) > 0 {
		return account.Port{}, badXML("a taskBody holds inputAsset and outputAsset elements with text, not <%s>.", e.name)
	}
	text := strings.TrimSpace(e.text)
	m := portText.FindStringSubmatch(text)
	if m == nil || e.name == "outputAsset" && m[1] != "Output" {
		return account.Port{}, badXML("the value of an %s is not '%.40s'.", e.name, text)
	}
	n, err := strconv.Atoi(m[2])
	return account.Port{Output: m[1] == "Output", N: n}, err
}

func readOutput(e *element, port account.Port) (out account.OutputPort, err error) {
	out.N = port.N
	number := func(name, value string, allowed ...int) (int, error) {
		n, err := strconv.Atoi(strings.TrimSpace(value))
		for _, a := range allowed {
			if err == nil && n == a {
				return n, nil
			}
		}
		return 0, badXML("the %s of an outputAsset is not '%.40s'.", name, value)
	}
	for name, value := range e.attrs {
		var n int
		switch name {
		case "assetName":
			out.Name = value
		case "storageAccountName":
			out.StorageAccount = value
		case "assetCreationOptions":
			n, err = number(name, value, 0, 1, 2, 4)
			out.Options = ams.AssetOptions(n)
		case "assetFormatOption":
			out.FormatOption, err = number(name, value, 0, 1)
		default:
			err = badXML("outputAsset has no attribute '%s'.", name)
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// String writes b as clients do.
func (b taskBody) String() string {
	var s strings.Builder
	attr := func(name, value string) {
		if value != "" {
			s.WriteString(" " + name + `="`)
			// A Builder takes everything.
			_ = xml.EscapeText(&s, []byte(value))
			s.WriteString(`"`)
		}
	}
	s.WriteString(`<?xml version="1.0" encoding="utf-8"?><taskBody`)
	if b.template != "" {
		attr("taskTemplateId", taskTemplateID+b.template)
	}
	s.WriteString(">")
	for _, p := range b.inputs {
		s.WriteString("<inputAsset>" + p.String() + "</inputAsset>")
	}
	for _, o := range b.outputs {
		s.WriteString("<outputAsset")
		attr("assetName", o.Name)
		if o.Options != 0 {
			attr("assetCreationOptions", strconv.Itoa(int(o.Options)))
		}
		if o.FormatOption != 0 {
			attr("assetFormatOption", strconv.Itoa(o.FormatOption))
		}
		attr("storageAccountName", o.StorageAccount)
		s.WriteString(">" + account.Port{Output: true, N: o.N}.String() + "</outputAsset>")
	}
	s.WriteString("</taskBody>")
	return s.String()
}
