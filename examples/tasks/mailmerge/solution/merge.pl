#!/usr/bin/perl
# Fills a letter with the rows of a table.
use strict;
use warnings;

die "usage: merge.pl LETTER PEOPLE\n" unless @ARGV == 2;
my ($letter_file, $people_file) = @ARGV;

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or die "merge.pl: $file: $!\n";
    local $/;
    my $text = <$in>;
    return defined $text ? $text : '';
}

# The rows as hashes, from column to field.
sub read_people {
    my ($file) = @_;
    my ($head, @lines) = split /\n/, slurp($file);
    die "merge.pl: $file is empty\n" unless defined $head;
    my @columns = split /\t/, $head;
    my @people;
    for my $line (@lines) {
        next if $line eq '';
        my @fields = split /\t/, $line, -1;
        die "merge.pl: too many fields: $line\n" if @fields > @columns;
        my %person;
        for my $at (0 .. $#columns) {
            $person{ $columns[$at] } = defined $fields[$at] ? $fields[$at] : '';
        }
        push @people, \%person;
    }
    return @people;
}

# What stands in the place of a placeholder.
sub field {
    my ($person, $name, $default) = @_;
    if (defined $default) {
        my $value = $person->{$name};
        return defined $value && $value ne '' ? $value : $default;
    }
    die "merge.pl: no such column: $name\n" unless exists $person->{$name};
    return $person->{$name};
}

sub fill {
    my ($letter, $person) = @_;
    $letter =~ s/(\{\{)|\{(\w+)(?:\|([^}]*))?\}/defined $1 ? '{' : field($person, $2, $3)/ge;
    return $letter;
}

my $letter = slurp($letter_file);
print join "---\n", map { fill($letter, $_) } read_people($people_file);
