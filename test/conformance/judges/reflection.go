package main

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionalpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

func init() {
	cases["C18"] = caseOf{all, reflected}
}

func reflected(t *T) {
	conn := t.mustLaunch(t.plugin, nil).conn
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	v1, err := reflection.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	t.fail(err)
	observeServices(t, "v1", v1)
	alpha, err := reflectionalpha.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	t.fail(err)
	observeServices(t, "v1alpha", olderStream{alpha})
}

// reflectionStream is what the two versions have in common.
type reflectionStream interface {
	Send(*reflection.ServerReflectionRequest) error
	Recv() (*reflection.ServerReflectionResponse, error)
}

// olderStream speaks v1alpha with the messages of v1: they are the same on the wire.
type olderStream struct {
	stream grpc.BidiStreamingClient[reflectionalpha.ServerReflectionRequest, reflectionalpha.ServerReflectionResponse]
}

func (o olderStream) Send(request *reflection.ServerReflectionRequest) error {
	var older reflectionalpha.ServerReflectionRequest
	if err := rewrite(request, &older); err != nil {
		return err
	}
	return o.stream.Send(&older)
}

func (o olderStream) Recv() (*reflection.ServerReflectionResponse, error) {
	older, err := o.stream.Recv()
	if err != nil {
		return nil, err
	}
	var answer reflection.ServerReflectionResponse
	return &answer, rewrite(older, &answer)
}

func rewrite(from, to proto.Message) error {
	bytes, err := proto.Marshal(from)
	if err != nil {
		return err
	}
	return proto.Unmarshal(bytes, to)
}

// observeServices names the services every plugin has, whether it has others of its own, and which cannot be described.
func observeServices(t *T, version string, stream reflectionStream) {
	t.fail(stream.Send(&reflection.ServerReflectionRequest{MessageRequest: &reflection.ServerReflectionRequest_ListServices{ListServices: "*"}}))
	answer, err := stream.Recv()
	t.fail(err)
	var names []string
	for _, service := range answer.GetListServicesResponse().GetService() {
		names = append(names, service.Name)
	}
	standard := []string{
		"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
		"plugin.GRPCBroker", "plugin.GRPCController", "plugin.GRPCStdio",
	}
	missing := slices.DeleteFunc(slices.Clone(standard), func(name string) bool { return slices.Contains(names, name) })
	t.observe("%s: %d standard services missing, own services listed: %v", version, len(missing), len(names) > len(standard))
	described := 0
	for _, name := range names {
		if problem := describeService(stream, name); problem != "" {
			t.observe("%s: %s: %s", version, name, problem)
			continue
		}
		described++
	}
	t.observe("%s: every listed service described: %v", version, described == len(names))
}

// describeService builds a service from the answer alone, as a client must that has no .proto files.
func describeService(stream reflectionStream, name string) string {
	asked := &reflection.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: name}
	if err := stream.Send(&reflection.ServerReflectionRequest{MessageRequest: asked}); err != nil {
		return err.Error()
	}
	answer, err := stream.Recv()
	if err != nil {
		return err.Error()
	}
	if refused := answer.GetErrorResponse(); refused != nil {
		return refused.ErrorMessage
	}
	var set descriptorpb.FileDescriptorSet
	for _, bytes := range answer.GetFileDescriptorResponse().GetFileDescriptorProto() {
		var file descriptorpb.FileDescriptorProto
		if err := proto.Unmarshal(bytes, &file); err != nil {
			return err.Error()
		}
		set.File = append(set.File, &file)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return err.Error()
	}
	found, err := files.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return err.Error()
	}
	if service, ok := found.(protoreflect.ServiceDescriptor); !ok || service.Methods().Len() == 0 {
		return "no service with methods"
	}
	return ""
}
