use strict;
use warnings;
use File::Temp 'tempdir';
use Test::More;

my $folder = tempdir(CLEANUP => 1);

sub put {
    my ($name, $text) = @_;
    open my $out, '>', "$folder/$name" or die $!;
    print $out $text;
    close $out;
}

sub merged {
    my ($letter, $people) = @_;
    put('letter', $letter);
    put('people', $people);
    my $text = `perl merge.pl $folder/letter $folder/people 2>$folder/errors`;
    return ($? >> 8, $text);
}

sub is_merged {
    my ($letter, $people, $right, $what) = @_;
    my ($status, $text) = merged($letter, $people);
    is("$status $text", "0 $right", $what);
}

my $people = "name\ttown\tcount\nAnn\tBergen\t0\n\tOslo\t\n";

is_merged("Dear {name}.\n", $people, "Dear Ann.\n---\nDear .\n", 'without a default');
is_merged("{{name} {name}\n", $people, "{name} Ann\n---\n{name} \n", 'a single {');
is_merged("Dear {name|friend}.\n", $people, "Dear Ann.\n---\nDear friend.\n", 'an empty field');
is_merged("{street|no street}\n", $people, "no street\n---\nno street\n", 'no such column');
is_merged("{count|none}\n", $people, "0\n---\nnone\n", '0 is not empty');
is_merged("{street|dear friend: 50%/2 & \$x}!\n", "name\nBo\n", "dear friend: 50%/2 & \$x!\n", 'any text as the default');
is_merged("{name|}x{street|}\n", "name\nBo\n", "Box\n", 'an empty default');
is_merged("{name|a} {name|b} {town}\n", $people, "Ann Ann Bergen\n---\na b Oslo\n", 'several in a line');
is_merged("{{name|friend}\n", "name\nBo\n", "{name|friend}\n", 'not a placeholder after {{');
is_merged("{name|x}\n", "name\tb\n\t1\nBo\n", "x\n---\nBo\n", 'a short row');
is_merged("{b|x}\n", "name\tb\nBo\n", "x\n", 'a field that the row lacks');

my ($status, $text) = merged("{street}\n", $people);
isnt($status, 0, 'no such column and no default is an error');

done_testing();
